mod kafka;

use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use super::{
    PostgresServer, RedisServer, WorkerProcess, eventually, eventually_async, free_address,
    free_port, or_skip, postgres_database, redis_cli, redis_database, url_of_database,
};

const SOON: Duration = Duration::from_secs(20);

#[test]
fn a_killed_redis_comes_back_with_what_it_acknowledged() {
    let Some(redis) = or_skip("redis-server", RedisServer::start()) else {
        return;
    };
    let before = redis.pid().unwrap();
    redis_cli(redis.url(), &["SET", "key", "value"]).unwrap();

    redis.kill().unwrap();
    assert!(redis_cli(redis.url(), &["PING"]).is_err());
    assert!(redis.pid().is_err());

    redis.restart().unwrap();
    assert_ne!(before, redis.pid().unwrap());
    assert_eq!("value", redis_cli(redis.url(), &["GET", "key"]).unwrap());

    redis.restart_empty().unwrap();
    assert_eq!("", redis_cli(redis.url(), &["GET", "key"]).unwrap());
}

#[test]
fn a_paused_redis_accepts_connections_and_can_still_be_stopped() {
    let Some(redis) = or_skip("redis-server", RedisServer::start()) else {
        return;
    };
    redis.pause().unwrap();
    assert!(TcpStream::connect(redis.address()).is_ok());
    redis.resume().unwrap();
    assert_eq!("PONG", redis_cli(redis.url(), &["PING"]).unwrap());
    redis.pause().unwrap();
    redis.stop().unwrap();
    assert!(TcpStream::connect(redis.address()).is_err());
}

#[test]
fn a_dropped_server_is_gone_with_its_data() {
    let Some(redis) = or_skip("redis-server", RedisServer::start()) else {
        return;
    };
    let address = redis.address();
    let setting = redis_cli(redis.url(), &["CONFIG", "GET", "dir"]).unwrap();
    let data = setting.lines().nth(1).unwrap().to_owned();
    assert!(Path::new(&data).exists());
    drop(redis);
    assert!(TcpStream::connect(address).is_err());
    assert!(!Path::new(&data).exists());
}

#[test]
fn every_redis_database_is_empty_and_its_own() {
    let Some(one) = redis_database() else { return };
    let Some(two) = redis_database() else { return };
    redis_cli(one.url(), &["SET", "key", "value"]).unwrap();
    assert_eq!("0", redis_cli(two.url(), &["DBSIZE"]).unwrap());
    let url = one.url().to_owned();
    drop(one);
    assert_eq!("0", redis_cli(&url, &["DBSIZE"]).unwrap());
}

#[test]
fn a_killed_postgres_comes_back() {
    let Some(postgres) = or_skip("PostgreSQL", PostgresServer::start()) else {
        return;
    };
    let database = postgres.create_database().unwrap();
    postgres.kill().unwrap();
    assert!(TcpStream::connect(postgres.address()).is_err());
    postgres.restart().unwrap();
    assert!(database.url().contains(&postgres.address()));
    assert!(postgres.create_database().is_ok());
}

#[test]
fn every_postgres_database_has_a_name_of_its_own() {
    let Some(one) = postgres_database() else {
        return;
    };
    let Some(two) = postgres_database() else {
        return;
    };
    assert_ne!(one.url(), two.url());
}

#[test]
fn a_url_is_pointed_to_another_database() {
    let check = |url, expected| assert_eq!(expected, url_of_database(url, "db"));
    check("redis://127.0.0.1:6379", "redis://127.0.0.1:6379/db");
    check("redis://127.0.0.1:6379/3", "redis://127.0.0.1:6379/db");
    check("rediss://:secret@host", "rediss://:secret@host/db");
    check(
        "postgres://u:p@host:1/x?sslmode=require",
        "postgres://u:p@host:1/db?sslmode=require",
    );
    check(
        "postgres://host?sslmode=require",
        "postgres://host/db?sslmode=require",
    );
}

#[test]
fn ports_are_given_once() {
    assert_ne!(free_port().unwrap(), free_port().unwrap());
}

#[test]
fn waiting_ends_with_the_answer_or_says_what_for() {
    let mut calls = 0;
    let answer = eventually("three calls", SOON, || {
        calls += 1;
        (calls == 3).then_some(calls)
    });
    assert_eq!(3, answer.unwrap());
    let failure = eventually::<()>("nothing", Duration::ZERO, || None).unwrap_err();
    assert!(failure.to_string().contains("nothing"), "{failure}");
}

#[tokio::test]
async fn waiting_can_be_awaited() {
    let mut calls = 0;
    let answer = eventually_async("three calls", SOON, async || {
        calls += 1;
        (calls == 3).then_some(calls)
    });
    assert_eq!(3, answer.await.unwrap());
}

#[test]
fn a_worker_that_ends_before_it_is_ready_is_reported_with_its_output() {
    let mut worker = script_as_worker("echo no such option: $OPTION; exit 64", &[("OPTION", "-x")]);
    let failure = worker
        .wait_ready(&free_address().unwrap(), SOON)
        .unwrap_err()
        .to_string();
    assert!(
        failure.contains("64") && failure.contains("no such option: -x"),
        "{failure}"
    );
    assert!(worker.terminate(SOON).is_err());
}

#[test]
fn a_worker_is_terminated_in_good_order_and_killed_without() {
    let script =
        "trap 'echo finishing; exit 7' TERM; echo up; while :; do read -t 0.05 <> <(:); done";
    let mut worker = script_as_worker(script, &[]);
    eventually("the worker to be up", SOON, || {
        worker.log().contains("up").then_some(())
    })
    .unwrap();
    worker.pause().unwrap();
    worker.resume().unwrap();
    assert_eq!(Some(7), worker.terminate(SOON).unwrap().code());
    assert!(worker.log().contains("finishing"));

    let mut worker = script_as_worker(script, &[]);
    worker.kill().unwrap();
    assert_eq!(None, worker.wait(SOON).unwrap().code());
}

#[test]
fn a_worker_does_not_see_the_settings_of_the_developer() {
    let mut worker = script_as_worker("echo manifest=$CARGO_MANIFEST_DIR.", &[]);
    assert!(worker.wait(SOON).unwrap().success());
    assert_eq!("manifest=.\n", worker.log());
}

fn script_as_worker(script: &str, variables: &[(&str, &str)]) -> WorkerProcess {
    let bash = Path::new("/bin/bash");
    WorkerProcess::start_program("a script", bash, &["-c", script], variables).unwrap()
}
