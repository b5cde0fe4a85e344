#!/bin/sh
# The first start of the database: an account for the nodes, which owns their database and is no superuser.
set -eu

psql --quiet --set=ON_ERROR_STOP=1 --set=password="$POSTGRES_PASSWORD" --username=postgres <<'SQL'
create role daybook_app nologin;
create role daybook login password :'password';
grant daybook_app to daybook;
create database daybook owner daybook encoding 'UTF8' template template0;
SQL

# The superuser is for this container's own socket: docker compose exec --user postgres postgres psql
sed -i '1i host all postgres all reject' "$PGDATA/pg_hba.conf"
