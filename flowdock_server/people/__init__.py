"""Accounts, and who belongs to what.

sign_in.py         passwords, and slowing down those who guess them
rate_limits.py     requests a minute for each caller
members.py         members of flows and organizations
invitations.py     invitations by e-mail
email_changes.py   confirming a new e-mail address
private.py         private messages between two people
demo_accounts.py   the accounts of the demonstration
"""
