from django.urls import include, path

urlpatterns = [
    path("", include("flowdock_server.pages.urls")),
]
