from django.urls import include, path

urlpatterns = [
    path("oauth/", include("flowdock_server.oauth.urls")),
    path("", include("flowdock_server.api.urls")),
    path("", include("flowdock_server.pages.urls")),
]
