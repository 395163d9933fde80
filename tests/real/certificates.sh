# Sourced: certificates for the TLS listeners of a secure cluster. For tests only: every key is deleted with the folder.

# certificates DIR: two authorities (the second has signed nothing), the broker's certificate and that of the client
# "carol".
certificates() {
  [ -e "$1/complete" ] && return 0
  need openssl openssl
  rm -rf "$1" && mkdir -p "$1"
  (
    cd "$1"
    authority ca && authority other-ca
    certificate broker "subjectAltName=DNS:localhost,IP:127.0.0.1"
    certificate carol "extendedKeyUsage=clientAuth"
    openssl pkcs8 -topk8 -in carol.key.pem -passout pass:changeit -out carol.encrypted.key.pem
    openssl pkcs12 -export -in carol.crt.pem -inkey carol.key.pem -certfile ca.pem -passout pass:changeit -out carol.p12
    touch complete
  ) >"$1/../certificates.log" 2>&1 || { cat "$1/../certificates.log" >&2; return 1; }
}

# authority NAME: a self-signed authority, NAME.pem and NAME.key.pem.
authority() {
  new_key "$1.key.pem"
  openssl req -x509 -new -key "$1.key.pem" -subj "/CN=test $1" -days 3650 -out "$1.pem" \
    -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign,cRLSign"
}

# certificate NAME EXTENSION: NAME.key.pem, NAME.crt.pem signed by ca, and NAME.pem with both and ca for Kafka.
certificate() {
  new_key "$1.key.pem"
  openssl req -new -key "$1.key.pem" -subj "/CN=$1" -out "$1.csr"
  openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key.pem -CAcreateserial -days 3650 \
    -extfile <(echo "$2") -out "$1.crt.pem"
  cat "$1.key.pem" "$1.crt.pem" ca.pem >"$1.pem"
}

# new_key FILE: an unencrypted PKCS8 key.
new_key() {
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"
}
