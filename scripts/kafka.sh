#!/usr/bin/env bash
# Runs one Apache Kafka broker (KRaft, no ZooKeeper) on loopback, for tests and for trying the product out.
#
#   scripts/kafka.sh install
#   scripts/kafka.sh run <data folder> <port> [<sasl port> <oauth port> <jwks url>]
#
# install  fetches the broker's jars into .tools/kafka when they are missing.
# run      installs, formats the data folder when it is new, starts the broker and prints "ready <pid> 127.0.0.1:<port>"
#          when it answers. It runs until standard input ends, SIGTERM or SIGINT, so it ends with whoever started it.
#          Topics and data are kept in the folder: run it again to have them back.
#
# <port> is plaintext. <sasl port> takes PLAIN and SCRAM, for the user "alice" with the password "alice-secret"; <oauth
# port> takes OAUTHBEARER tokens of the audience "kafka-test", signed by a key under <jwks url>.
set -euo pipefail

KAFKA_VERSION=4.3.1
LOG4J_VERSION=2.25.4
ready_seconds_max=90

scripts=$(cd "$(dirname "$0")" && pwd)
tools=$(dirname "$scripts")/.tools/kafka
jars=$tools/$KAFKA_VERSION

fail() { printf 'kafka.sh: %s\n' "$*" >&2; exit 1; }

install() {
    command -v java >/dev/null || fail "java is missing; install a JRE 17 or later (Debian: default-jre-headless)"
    mkdir -p "$tools"
    # Two test runs may start at once: one installs, the other waits.
    exec 9>"$tools/install.lock"
    flock 9
    if [ ! -f "$jars/complete" ]; then
        command -v mvn >/dev/null || fail "mvn is missing; install Maven (Debian: maven)"
        echo "kafka.sh: fetching Apache Kafka $KAFKA_VERSION into $jars" >&2
        write_pom >"$tools/pom.xml"
        mvn -q -B -f "$tools/pom.xml" dependency:copy-dependencies -DincludeScope=runtime \
            "-DoutputDirectory=$jars" >&2
        touch "$jars/complete"
    fi
    exec 9>&-
}

# Without the log4j binding the broker says nothing, not even why it ends.
write_pom() {
    cat <<XML
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>corridor.tools</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$KAFKA_VERSION</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>$KAFKA_VERSION</version></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>$LOG4J_VERSION</version></dependency>
  </dependencies>
</project>
XML
}

write_log_settings() {
    cat <<YAML
Configuration:
  status: warn
  Appenders:
    Console: {name: out, PatternLayout: {pattern: "%d %p %c{1} %m%n"}}
  Loggers:
    Root: {level: warn, AppenderRef: {ref: out}}
YAML
}

# One node, small buffers, quick groups.
write_properties() {
    local listeners="PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller_port"
    local advertised="PLAINTEXT://127.0.0.1:$port"
    local protocols="PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT"
    if [ -n "$sasl_port" ]; then
        listeners+=",SASL://127.0.0.1:$sasl_port,OAUTH://127.0.0.1:$oauth_port"
        advertised+=",SASL://127.0.0.1:$sasl_port,OAUTH://127.0.0.1:$oauth_port"
        protocols+=",SASL:SASL_PLAINTEXT,OAUTH:SASL_PLAINTEXT"
    fi
    cat <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller_port
controller.listener.names=CONTROLLER
listeners=$listeners
advertised.listeners=$advertised
listener.security.protocol.map=$protocols
inter.broker.listener.name=PLAINTEXT
log.dirs=$data/log
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=500
auto.create.topics.enable=false
num.network.threads=2
num.io.threads=2
log.cleaner.dedupe.buffer.size=4194304
PROPERTIES
    [ -z "$sasl_port" ] || cat <<PROPERTIES
listener.name.sasl.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.sasl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_alice="alice-secret";
listener.name.sasl.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.oauth.sasl.enabled.mechanisms=OAUTHBEARER
listener.name.oauth.oauthbearer.sasl.server.callback.handler.class=org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallbackHandler
listener.name.oauth.oauthbearer.sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;
listener.name.oauth.oauthbearer.sasl.oauthbearer.jwks.endpoint.url=$jwks_url
listener.name.oauth.oauthbearer.sasl.oauthbearer.expected.audience=kafka-test
listener.name.oauth.oauthbearer.sasl.oauthbearer.clock.skew.seconds=0
listener.name.oauth.oauthbearer.connections.max.reauth.ms=15000
PROPERTIES
}

format() {
    local id
    id=$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=')
    # A leading dash would be taken for an option.
    java -Xmx96m -cp "$jars/*" kafka.tools.StorageTool format -t "A${id:1}" -c "$data/server.properties" \
        --add-scram 'SCRAM-SHA-256=[name=alice,password=alice-secret]' \
        --add-scram 'SCRAM-SHA-512=[name=alice,password=alice-secret]' >"$data/format.log" 2>&1 ||
        { cat "$data/format.log" >&2; fail "the data folder $data could not be formatted"; }
}

stop() {
    trap - TERM INT EXIT
    kill -TERM "$broker" 2>/dev/null || true
    wait "$broker" 2>/dev/null || true
}

run() {
    install
    mkdir -p "$data"
    write_log_settings >"$data/log4j2.yaml"
    write_properties >"$data/server.properties"
    [ -f "$data/log/meta.properties" ] || format
    java -Xms64m -Xmx192m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 "-Dlog4j2.configurationFile=$data/log4j2.yaml" \
        "-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=$jwks_url" -cp "$jars/*" kafka.Kafka \
        "$data/server.properties" >>"$data/broker.log" 2>&1 </dev/null &
    broker=$!
    trap 'stop; exit 0' TERM INT
    trap stop EXIT
    local waited=0
    until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
        if ! kill -0 "$broker" 2>/dev/null || [ "$waited" -ge $((ready_seconds_max * 10)) ]; then
            tail -n 50 "$data/broker.log" >&2
            fail "the broker did not come up on port $port"
        fi
        sleep 0.1
        waited=$((waited + 1))
    done
    echo "ready $broker 127.0.0.1:$port"
    # Whoever started this holds the other end, and lets go of it when it ends, however that happens.
    while read -r _; do :; done
    stop
}

case "${1:-}" in
    install) install ;;
    run)
        [ $# -eq 3 ] || [ $# -eq 6 ] || { sed -n '2,14s/^# \{0,1\}//p' "$0" >&2; exit 2; }
        mkdir -p "$2"
        data=$(cd "$2" && pwd)
        port=$3
        sasl_port=${4:-}
        oauth_port=${5:-}
        jwks_url=${6:-}
        controller_port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
        run
        ;;
    *) sed -n '2,14s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
