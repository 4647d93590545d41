use std::net::TcpStream;
use std::path::PathBuf;

use super::super::local_server::run_script;
use super::super::{KafkaServer, LocalServer, kafka_brokers, kafka_prefix, kafka_topics, or_skip};

#[test]
fn a_killed_kafka_comes_back_with_what_it_acknowledged() {
    let Some(kafka) = own_kafka() else { return };
    let before = kafka.pid().unwrap();
    create_topic(kafka.url(), "events");
    run_script("kafka.sh", &["produce", kafka.url(), "events", "one"]).unwrap();

    kafka.kill().unwrap();
    assert!(TcpStream::connect(kafka.address()).is_err());
    assert!(kafka.pid().is_err());

    kafka.restart().unwrap();
    assert_ne!(before, kafka.pid().unwrap());
    let messages = run_script("kafka.sh", &["consume", kafka.url(), "events", "1"]);
    assert_eq!("one", messages.unwrap());

    kafka.restart_empty().unwrap();
    assert_eq!("", kafka_topics(kafka.url(), &["--list"]).unwrap());
}

#[test]
fn a_paused_kafka_accepts_connections_and_can_still_be_stopped() {
    let Some(kafka) = own_kafka() else { return };
    kafka.pause().unwrap();
    assert!(TcpStream::connect(kafka.address()).is_ok());
    kafka.resume().unwrap();
    create_topic(kafka.url(), "events");
    kafka.pause().unwrap();
    kafka.stop().unwrap();
    assert!(TcpStream::connect(kafka.address()).is_err());
}

#[test]
fn a_kafka_listens_on_one_address_and_makes_no_topic_unasked() {
    let Some(kafka) = own_kafka() else { return };
    assert_eq!(kafka.address(), kafka.url());
    // Who listens on every address listens on this one too.
    assert!(TcpStream::connect(("127.0.0.2", kafka.port())).is_err());
    assert!(run_script("kafka.sh", &["consume", kafka.url(), "events", "1"]).is_err());
    let topics = kafka_topics(kafka.url(), &["--list"]).unwrap();
    assert!(!topics.contains("events"), "{topics}");
}

#[test]
fn a_dropped_kafka_is_gone_with_its_data() {
    let Some(kafka) = own_kafka() else { return };
    let address = kafka.address();
    let data = working_folder(&kafka);
    assert!(data.join("meta.properties").exists());
    drop(kafka);
    assert!(TcpStream::connect(address).is_err());
    assert!(!data.exists());
}

#[test]
fn tests_share_a_kafka_under_prefixes_of_their_own() {
    let Some(brokers) = kafka_brokers() else {
        return;
    };
    assert_eq!(Some(brokers), kafka_brokers());
    let (one, two) = (kafka_prefix(), kafka_prefix());
    assert_ne!(one, two);
    create_topic(brokers, &format!("{one}events"));
    let topics = kafka_topics(brokers, &["--list"]).unwrap();
    assert!(topics.contains(&one) && !topics.contains(&two), "{topics}");
}

fn own_kafka() -> Option<KafkaServer> {
    or_skip("Kafka", KafkaServer::start())
}

fn create_topic(brokers: &str, name: &str) {
    kafka_topics(brokers, &["--create", "--topic", name]).unwrap();
}

fn working_folder(server: &LocalServer) -> PathBuf {
    std::fs::read_link(format!("/proc/{}/cwd", server.pid().unwrap())).unwrap()
}
