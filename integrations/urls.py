from django.urls import path

from .views import actions, configure, home, hooks, integration, setup, sign_in

app_name = "integrations"
urlpatterns = [
    path("", home.home, name="home"),
    path("hooks/<str:hook_id>/", hooks.receive, name="hook"),
    # People. The callback comes before social-auth's view of the same address.
    path("sign-in/", sign_in.sign_in, name="sign_in"),
    path("complete/flowdock/", sign_in.come_back, name="come_back"),
    path("sign-out/", sign_in.sign_out, name="sign_out"),
    path("account/", sign_in.account, name="account"),
    path("account/sign-out-everywhere/", sign_in.sign_out_everywhere, name="sign_out_everywhere"),
    # The addresses that Flowdock knows of us
    path("flowdock/setup", setup.setup, name="setup"),
    path("flowdock/setup/origin", setup.origin, name="setup_origin"),
    path("flowdock/configure", configure.configure, name="configure"),
    # One integration
    path("integrations/<int:pk>/", integration.integration, name="integration"),
    path("integrations/<int:pk>/updates/", integration.updates, name="updates"),
    path("integrations/<int:pk>/events/<int:delivery_pk>/", integration.event, name="event"),
    path("integrations/<int:pk>/events/<int:delivery_pk>/retry/", integration.retry, name="retry"),
    path("integrations/<int:pk>/filters/", configure.filters, name="filters"),
    path("integrations/<int:pk>/connected/", setup.finish, name="connected"),
    path("integrations/<int:pk>/connected/arrival/", setup.arrival, name="arrival"),
    path("integrations/<int:pk>/test/", setup.send_test, name="send_test"),
    path("integrations/<int:pk>/pause/", actions.pause, name="pause"),
    path("integrations/<int:pk>/resume/", actions.resume, name="resume"),
    path("integrations/<int:pk>/secret/", actions.rotate_secret, name="rotate_secret"),
    path("integrations/<int:pk>/secret/cut-off/", actions.cut_off_old_secret, name="cut_off_old_secret"),
    path("integrations/<int:pk>/remove/", actions.remove, name="remove"),
]
