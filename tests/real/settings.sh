# Sourced: writes a node's server.properties. Reads $nodes, $secure, $base, $home and $certificates.

host=127.0.0.1

# A node has ten ports: its listeners, and the controller.
#   +0 PLAINTEXT, or SASL_PLAINTEXT when secure     +1 SASL_SSL     +2 SSL with client certificate     +3 SSL     +9 controller
port() { echo $((base + 10 * $1 + ${2:-0})); }

# settings I: prints the properties file of node I.
settings() {
  local replicas=$((nodes > 1 ? 3 : 1)) voters
  voters=$(for i in $(seq "$nodes"); do printf '%s@%s:%s,' "$i" "$host" "$(port "$i" 9)"; done)
  cat <<P
process.roles=broker,controller
node.id=$1
controller.quorum.voters=${voters%,}
controller.listener.names=CONTROLLER
log.dirs=$home/data/$1
log.segment.bytes=67108864
num.partitions=1
default.replication.factor=$replicas
min.insync.replicas=$((replicas > 1 ? 2 : 1))
unclean.leader.election.enable=false
# A group of one member need not wait for others that may join.
group.initial.rebalance.delay.ms=0
offsets.topic.num.partitions=4
offsets.topic.replication.factor=$replicas
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=$replicas
transaction.state.log.min.isr=$((replicas > 1 ? 2 : 1))
share.coordinator.state.topic.num.partitions=4
share.coordinator.state.topic.replication.factor=$replicas
share.coordinator.state.topic.min.isr=$((replicas > 1 ? 2 : 1))
group.initial.rebalance.delay.ms=0
# A killed node is fenced after this time; with the default of 9 s tests only wait longer.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
P
  if [ "$secure" = yes ]; then secure_listeners "$1"; else plain_listeners "$1"; fi
}

plain_listeners() {
  cat <<P
listeners=PLAINTEXT://$host:$(port "$1"),CONTROLLER://$host:$(port "$1" 9)
advertised.listeners=PLAINTEXT://$host:$(port "$1")
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
P
}

# Users: admin (superuser), alice (PLAIN), bob (SCRAM), carol (certificate). A password is NAME-secret. Other users have
# no permissions until an ACL grants them.
secure_listeners() {
  local listeners jaas=org.apache.kafka.common.security
  local plain="$jaas.plain.PlainLoginModule required username=\"admin\" password=\"admin-secret\" user_admin=\"admin-secret\" user_alice=\"alice-secret\";"
  local scram="$jaas.scram.ScramLoginModule required;"
  local bearer="$jaas.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"admin\";"
  listeners="SASL://$host:$(port "$1"),SASLTLS://$host:$(port "$1" 1),MUTUAL://$host:$(port "$1" 2),TLS://$host:$(port "$1" 3)"
  cat <<P
listeners=$listeners,CONTROLLER://$host:$(port "$1" 9)
advertised.listeners=$listeners
listener.security.protocol.map=SASL:SASL_PLAINTEXT,SASLTLS:SASL_SSL,MUTUAL:SSL,TLS:SSL,CONTROLLER:SASL_PLAINTEXT
inter.broker.listener.name=SASL
sasl.mechanism.inter.broker.protocol=PLAIN
sasl.mechanism.controller.protocol=PLAIN
listener.name.controller.sasl.enabled.mechanisms=PLAIN
listener.name.controller.plain.sasl.jaas.config=$plain
listener.name.sasl.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER
listener.name.sasl.plain.sasl.jaas.config=$plain
listener.name.sasl.scram-sha-256.sasl.jaas.config=$scram
listener.name.sasl.scram-sha-512.sasl.jaas.config=$scram
listener.name.sasl.oauthbearer.sasl.jaas.config=$bearer
listener.name.sasltls.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
listener.name.sasltls.plain.sasl.jaas.config=$plain
listener.name.sasltls.scram-sha-512.sasl.jaas.config=$scram
listener.name.mutual.ssl.truststore.type=PEM
listener.name.mutual.ssl.truststore.location=$certificates/ca.pem
listener.name.mutual.ssl.client.auth=required
listener.name.mutual.ssl.principal.mapping.rules=RULE:^CN=([^,]*).*\$/\$1/
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:admin
allow.everyone.if.no.acl.found=false
P
  for listener in sasltls mutual tls; do
    echo "listener.name.$listener.ssl.keystore.type=PEM"
    echo "listener.name.$listener.ssl.keystore.location=$certificates/broker.pem"
  done
}
