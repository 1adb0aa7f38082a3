from django.urls import path

from . import views

urlpatterns = [
    path("authorize", views.AuthorizeView.as_view(), name="oauth-authorize"),
    path("authorize/<slug:code>", views.CodeView.as_view(), name="oauth-code"),
    path("token", views.TokenView.as_view(), name="oauth-token"),
    path("revoke", views.RevokeView.as_view(), name="oauth-revoke"),
]
