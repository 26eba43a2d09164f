"""The live page: `lejepa dashboard`. A folder of its own, since Streamlit puts that of its script before all others.

command.py   starts the server
app.py       the page, a script that Streamlit runs again and again
latest.py    the last reading of a study, shared by all pages
"""
