"""Creating an account together with an organization, as people do who sign up by themselves."""

from django.db import transaction
from django.views.decorators.debug import sensitive_variables

from flowdock_server.models import Flow, User
from flowdock_server.people import flows, organizations


@sensitive_variables("password")
@transaction.atomic
def sign_up(*, email: str, name: str, password: str, organization: str) -> tuple[User, Flow]:
    """Create a user, an organization of this name with the user as its admin, and a first flow.

    Raises IntegrityError if the e-mail address has an account, as when the same form is sent twice at the same time.
    """
    user = User.objects.create_user(email, name, password)
    created = organizations.create(organization, admin=user)
    return user, flows.create(created, "Main", Flow.AccessMode.ORGANIZATION, by=user)
