#!/bin/sh
# PostgreSQL's image runs this once, when the volume is empty: a user and a database for each of the two servers.
set -eu
create() { # name password
  psql --username postgres --set=ON_ERROR_STOP=1 --set=name="$1" --set=password="$2" <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
SQL
}
create bridge "$BRIDGE_PASSWORD"
create flowdock "$FLOWDOCK_PASSWORD"
