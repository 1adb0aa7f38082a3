"""What people open in a browser: sign-in, the team inbox, a flow's settings, developer applications, the account."""
