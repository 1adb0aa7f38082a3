"""Posting: a draft is validated, and stored with its thread, files, tags and search index.

drafts.py        what is posted, validated
messages.py      store, edit and delete a message of a flow, and publish it to subscribers
chat_threads.py  threads of chat messages
tagging.py       tags and mentions
files.py         attachments
search.py        full-text search: the index of words
finding.py       finding messages by words, tags and events
actions.py       actions of threads, and calling a service when somebody presses a button
"""
