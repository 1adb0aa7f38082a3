from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("integrations.urls")),
    path("polls/", include("polls.urls")),
    path("", include("social_django.urls", namespace="social")),
    path("admin/", admin.site.urls),
]

handler400 = "integrations.views.errors.bad_request"
handler403 = "integrations.views.errors.forbidden"
handler404 = "integrations.views.errors.not_found"
handler500 = "integrations.views.errors.server_error"
