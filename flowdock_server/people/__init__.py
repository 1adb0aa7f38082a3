"""Accounts, and who belongs to what.

sign_in.py         passwords, and slowing down those who guess them
rate_limits.py     requests a minute for each caller
organizations.py   organizations, their admins and members
flows.py           creating, renaming and archiving flows
members.py         members of flows, and which users somebody sees
invite_links.py    joining a flow by a link
invitations.py     invitations by e-mail
email_changes.py   confirming a new e-mail address
accounts.py        signing up
unread.py          how much a user has not read
private.py         private messages between two people
demo_accounts.py   the accounts of the demonstration
"""
