//! Kafka against a real broker: the log, the membership, the sources, signing in, outages.

mod log;

mod membership;

mod outage;

mod scene;

mod sign_in;

mod source;
