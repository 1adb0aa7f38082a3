from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("integrations.urls")),
    path("polls/", include("polls.urls")),
    path("", include("social_django.urls", namespace="social")),
    path("admin/", admin.site.urls),
]

handler400 = "integrations.views.error_pages.bad_request"
handler403 = "integrations.views.error_pages.forbidden"
handler404 = "integrations.views.error_pages.not_found"
handler500 = "integrations.views.error_pages.server_error"
