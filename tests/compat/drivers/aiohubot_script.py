"""What aiohubot answers, loaded by itself once it is connected."""


def use(robot):
    async def pong(response):
        await response.send("PONG")

    async def who(response):
        await response.reply(f"you are {response.message.user.name}")

    robot.respond(r"ping$", pong)
    robot.respond(r"who am i$", who)
