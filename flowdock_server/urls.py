from django.urls import include, path

urlpatterns = [
    path("oauth/", include("flowdock_server.oauth.urls")),
    # Before the API, which would answer the empty path with its own 404.
    path("", include("flowdock_server.pages.urls")),
    path("", include("flowdock_server.api.urls")),
]
