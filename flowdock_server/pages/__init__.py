"""The pages that people open in a browser: sign-in, team inbox, chat, settings, applications and account."""
