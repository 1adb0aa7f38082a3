#!/bin/sh
# settings.sh BRIDGE_HOST FLOWDOCK_HOST STREAM_HOST: writes the settings for compose.yaml beside it, with new secrets.
# It never changes a file that exists.
set -eu
umask 077
if [ $# != 3 ]; then
  echo "Usage: settings.sh BRIDGE_HOST FLOWDOCK_HOST STREAM_HOST" >&2
  exit 2
fi
bridge=$1 flowdock=$2 streams=$3
folder=$(dirname "$(readlink -f "$0")")
cd "$folder"
for file in .env bridge.env server.env db.env; do
  if [ -e "$file" ]; then
    echo "$folder/$file exists already. Nothing was changed." >&2
    exit 1
  fi
done
random() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }
fernet_key() { head -c 32 /dev/urandom | base64 | tr '+/' '-_'; }
bridge_password=$(random) flowdock_password=$(random) client_id=$(random) client_secret=$(random)
cat >db.env <<EOF
POSTGRES_PASSWORD=$(random)
BRIDGE_PASSWORD=$bridge_password
FLOWDOCK_PASSWORD=$flowdock_password
EOF
cat >bridge.env <<EOF
SECRET_KEY=$(random)
FIELD_KEYS=$(fernet_key)
BRIDGE_URL=https://$bridge
DATABASE_URL=postgres://bridge:$bridge_password@db/bridge
FLOWDOCK_API_URL=https://$flowdock
FLOWDOCK_CLIENT_ID=$client_id
FLOWDOCK_CLIENT_SECRET=$client_secret
TRUST_FORWARDED_PROTO=yes
TRUST_FORWARDED_FOR=yes
EOF
cat >server.env <<EOF
FLOWDOCK_SERVER_SECRET_KEY=$(random)
FLOWDOCK_SERVER_URL=https://$flowdock
FLOWDOCK_STREAM_URL=https://$streams
FLOWDOCK_SERVER_DATABASE_URL=postgres://flowdock:$flowdock_password@db/flowdock
FLOWDOCK_SERVER_TRUST_FORWARDED_PROTO=yes
FLOWDOCK_SERVER_TRUST_FORWARDED_FOR=yes
BRIDGE_URL=https://$bridge
FLOWDOCK_CLIENT_ID=$client_id
FLOWDOCK_CLIENT_SECRET=$client_secret
EOF
cat >.env <<EOF
HTTP_PORT=80
HTTPS_PORT=443
BRIDGE_HOST=$bridge
FLOWDOCK_HOST=$flowdock
STREAM_HOST=$streams
BRIDGE_UPSTREAM=bridge:8000
FLOWDOCK_UPSTREAM=flowdock:8001
BRIDGE_CERTIFICATE=/etc/nginx/certificates/fullchain.pem
BRIDGE_CERTIFICATE_KEY=/etc/nginx/certificates/privkey.pem
FLOWDOCK_CERTIFICATE=/etc/nginx/certificates/fullchain.pem
FLOWDOCK_CERTIFICATE_KEY=/etc/nginx/certificates/privkey.pem
EOF
mkdir -p certificates
echo "Wrote .env, bridge.env, server.env and db.env in $folder. Back them up: they decrypt what is stored."
