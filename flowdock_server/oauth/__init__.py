"""OAuth 2.0 as Flowdock spoke it, on top of django-oauth-toolkit."""
