"""OAuth 2.0 as Flowdock implemented it, on top of django-oauth-toolkit."""
