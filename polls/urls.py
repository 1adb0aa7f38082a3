from django.urls import path

from . import views

app_name = "polls"
urlpatterns = [
    path("", views.polls, name="polls"),
    path("new/", views.new, name="new"),
    path("in/<slug:slug>/", views.category_without_organization),
    # A dot can be in an organization's name, and "-" stands for none.
    path("in/<str:organization>/<slug:slug>/", views.polls, name="category"),
    path("<int:pk>/", views.poll, name="poll"),
    path("<int:pk>/live/", views.live, name="live"),
    path("<int:pk>/options/", views.add_option, name="add_option"),
    path("<int:pk>/options/<int:option_pk>/vote/", views.vote, name="vote"),
    path("<int:pk>/options/<int:option_pk>/remove-vote/", views.remove_vote, name="remove_vote"),
    path("<int:pk>/comments/", views.comment, name="comment"),
    path("<int:pk>/close/", views.close, name="close"),
]
