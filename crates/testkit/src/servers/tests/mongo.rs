use std::net::TcpStream;

use serde_json::{Value, json};

use super::super::{MongoServer, mongo_command, mongo_database, or_skip};

const DATABASE: &str = "events";

#[test]
fn a_killed_mongodb_comes_back_with_what_it_acknowledged() {
    let Some(mongo) = own_mongo() else { return };
    let before = mongo.pid().unwrap();
    insert(
        mongo.url(),
        DATABASE,
        &[json!({"_id": 1}), json!({"_id": 2})],
    );

    mongo.kill().unwrap();
    assert!(TcpStream::connect(mongo.address()).is_err());
    assert!(mongo.pid().is_err());

    mongo.restart().unwrap();
    assert_ne!(before, mongo.pid().unwrap());
    assert_eq!(2, count(mongo.url(), DATABASE));

    mongo.restart_empty().unwrap();
    assert_eq!(0, count(mongo.url(), DATABASE));
}

#[test]
fn a_paused_mongodb_accepts_connections_and_can_still_be_stopped() {
    let Some(mongo) = own_mongo() else { return };
    mongo.pause().unwrap();
    assert!(TcpStream::connect(mongo.address()).is_ok());
    mongo.resume().unwrap();
    assert_eq!(0, count(mongo.url(), DATABASE));
    mongo.pause().unwrap();
    mongo.stop().unwrap();
    assert!(TcpStream::connect(mongo.address()).is_err());
}

#[test]
fn every_mongo_database_is_empty_and_its_own() {
    let Some(one) = mongo_database() else { return };
    let Some(two) = mongo_database() else { return };
    insert(one.url(), one.name(), &[json!({"_id": 1})]);
    assert_eq!(1, count(one.url(), one.name()));
    assert_eq!(0, count(two.url(), two.name()));
    let (url, name) = (one.url().to_owned(), one.name().to_owned());
    assert!(url.ends_with(&format!("/{name}")));
    drop(one);
    assert_eq!(0, count(&url, &name));
}

#[test]
fn a_statement_that_fails_stops_no_other_and_is_named() {
    let Some(database) = mongo_database() else {
        return;
    };
    insert(
        database.url(),
        database.name(),
        &[json!({"_id": "b", "at": 9})],
    );
    let upsert = |id: &str| json!({"q": {"_id": id, "at": {"$lte": 5}}, "u": {"$set": {"at": 5}}, "upsert": true});
    let update = [
        ("update", json!("documents")),
        ("updates", json!([upsert("a"), upsert("b"), upsert("c")])),
        ("ordered", json!(false)),
    ];
    let refusal = mongo_command(database.url(), database.name(), &update)
        .unwrap_err()
        .to_string();
    assert!(refusal.contains("11000"), "{refusal}");
    assert!(refusal.contains(r#""index":1"#), "{refusal}");
    assert_eq!(3, count(database.url(), database.name()));
}

#[test]
fn concurrent_changes_of_one_document_all_count() {
    let Some(database) = mongo_database() else {
        return;
    };
    let (url, name) = (database.url(), database.name());
    insert(url, name, &[json!({"_id": 1, "count": 0})]);
    let statement = json!({"q": {"_id": 1}, "u": {"$inc": {"count": 1}}});
    let update = [
        ("update", json!("documents")),
        ("updates", json!([statement])),
    ];
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..25 {
                    mongo_command(url, name, &update).unwrap();
                }
            });
        }
    });
    let answer = mongo_command(url, name, &[("find", json!("documents"))]).unwrap();
    let counted = answer.pointer("/cursor/firstBatch/0/count");
    assert_eq!(Some(200), counted.and_then(Value::as_i64), "{answer}");
}

fn own_mongo() -> Option<MongoServer> {
    or_skip("MongoDB", MongoServer::start())
}

fn insert(url: &str, database: &str, documents: &[Value]) {
    let command = [
        ("insert", json!("documents")),
        ("documents", json!(documents)),
        ("writeConcern", json!({"w": "majority", "j": true})),
    ];
    mongo_command(url, database, &command).unwrap();
}

fn count(url: &str, database: &str) -> i64 {
    let answer = mongo_command(url, database, &[("count", json!("documents"))]).unwrap();
    answer.get("n").and_then(Value::as_i64).unwrap()
}
