use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use super::{FaultProxy, ProxyMode};
use crate::servers::{RedisDatabase, eventually, or_skip, redis_cli, redis_database};

const SOON: Duration = Duration::from_secs(20);
const PING: &[u8] = b"PING\r\n";
const PONG: &[u8] = b"+PONG\r\n";

/// A Redis database, a proxy before its server, and the database's URL through the proxy.
fn bench() -> Option<(RedisDatabase, FaultProxy, String)> {
    let redis = redis_database()?;
    let (rest, number) = redis.url().rsplit_once('/')?;
    let server = rest.rsplit(['/', '@']).next()?;
    let proxy = or_skip("a port", FaultProxy::start(server))?;
    let url = format!("redis://{}/{number}", proxy.address());
    Some((redis, proxy, url))
}

fn connect(proxy: &FaultProxy) -> TcpStream {
    let connection = TcpStream::connect(proxy.address()).unwrap();
    connection.set_read_timeout(Some(SOON)).unwrap();
    connection
}

fn ping(mut connection: &TcpStream) -> std::io::Result<()> {
    let mut answer = [0; PONG.len()];
    connection.write_all(PING)?;
    connection.read_exact(&mut answer)?;
    assert_eq!(PONG, answer);
    Ok(())
}

#[test]
fn what_passes_arrives() {
    let Some((redis, _proxy, url)) = bench() else {
        return;
    };
    assert_eq!("OK", redis_cli(&url, &["SET", "key", "value"]).unwrap());
    assert_eq!("value", redis_cli(redis.url(), &["GET", "key"]).unwrap());
}

#[test]
fn a_delay_holds_up_replies_and_ends_with_its_mode() {
    let Some((_redis, proxy, _url)) = bench() else {
        return;
    };
    let connection = connect(&proxy);
    ping(&connection).unwrap();
    let delay = Duration::from_millis(200);
    proxy.set(ProxyMode::Delay(delay));
    let start = Instant::now();
    ping(&connection).unwrap();
    assert!(start.elapsed() >= delay);
    proxy.set(ProxyMode::Pass);
    eventually("replies without delay", SOON, || {
        let start = Instant::now();
        ping(&connection).unwrap();
        (start.elapsed() < delay).then_some(())
    })
    .unwrap();
}

#[test]
fn a_reset_ends_the_connections_that_are_there_and_no_others() {
    let Some((_redis, proxy, _url)) = bench() else {
        return;
    };
    let connection = connect(&proxy);
    ping(&connection).unwrap();
    proxy.reset();
    let mut byte = [0];
    let error = (&connection).read(&mut byte).unwrap_err();
    assert_eq!(ErrorKind::ConnectionReset, error.kind());
    ping(&connect(&proxy)).unwrap();
}

#[test]
fn new_connections_are_refused_while_old_ones_work() {
    let Some((_redis, proxy, _url)) = bench() else {
        return;
    };
    let connection = connect(&proxy);
    ping(&connection).unwrap();
    proxy.set(ProxyMode::Refuse);
    eventually("a refusal", SOON, || {
        let error = TcpStream::connect(proxy.address()).err()?;
        (error.kind() == ErrorKind::ConnectionRefused).then_some(())
    })
    .unwrap();
    ping(&connection).unwrap();
    proxy.set(ProxyMode::Pass);
    eventually("a new connection", SOON, || {
        let connection = TcpStream::connect(proxy.address()).ok()?;
        ping(&connection).ok()
    })
    .unwrap();
}

#[test]
fn a_half_open_connection_says_nothing_for_ever_and_a_new_one_works() {
    let Some((redis, proxy, _url)) = bench() else {
        return;
    };
    let before = connect(&proxy);
    ping(&before).unwrap();
    proxy.set(ProxyMode::HalfOpen);
    let during = connect(&proxy);
    for mut connection in [&before, &during] {
        connection.write_all(b"SET key value\r\n").unwrap();
        let wait = Some(Duration::from_millis(200));
        connection.set_read_timeout(wait).unwrap();
        let error = connection.read(&mut [0]).unwrap_err();
        assert!(matches!(
            error.kind(),
            ErrorKind::WouldBlock | ErrorKind::TimedOut
        ));
    }
    proxy.set(ProxyMode::Pass);
    ping(&connect(&proxy)).unwrap();
    for connection in [&before, &during] {
        assert!(ping(connection).is_err());
    }
    assert_eq!("", redis_cli(redis.url(), &["GET", "key"]).unwrap());
}

#[test]
fn a_slow_connection_drips() {
    let Some((redis, proxy, url)) = bench() else {
        return;
    };
    let value = "v".repeat(10_000);
    redis_cli(redis.url(), &["SET", "key", &value]).unwrap();
    proxy.set(ProxyMode::Drip {
        bytes_per_second: 20_000,
    });
    let start = Instant::now();
    assert_eq!(value, redis_cli(&url, &["GET", "key"]).unwrap());
    assert!(start.elapsed() >= Duration::from_millis(400));
}

#[test]
fn a_lost_reply_is_that_of_a_command_which_ran() {
    let Some((redis, proxy, _url)) = bench() else {
        return;
    };
    let number = redis.url().rsplit('/').next().unwrap();
    let mut connection = connect(&proxy);
    write!(connection, "SELECT {number}\r\n").unwrap();
    connection.read_exact(&mut [0; 5]).unwrap();
    proxy.set(ProxyMode::LoseReplies {
        every: NonZeroU64::MIN,
    });
    connection.write_all(b"INCR key\r\n").unwrap();
    assert!(connection.read(&mut [0; 8]).is_err());
    assert_eq!("1", redis_cli(redis.url(), &["GET", "key"]).unwrap());
    assert_eq!(1, proxy.replies_lost());
    proxy.set(ProxyMode::Pass);
    ping(&connect(&proxy)).unwrap();
}
