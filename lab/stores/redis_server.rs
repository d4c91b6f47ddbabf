//! Tests the Redis server that the other tests and the benchmark use.

use std::time::{Duration, Instant};
use std::{process::Command, thread};

use lab::Redis;

use crate::has_redis;

#[test]
fn a_killed_redis_restarts_with_its_data_and_leaves_nothing_behind() {
    if !has_redis("the Redis server") {
        return;
    }
    let always = [("appendonly", "yes"), ("appendfsync", "always")];
    let mut redis = Redis::temporary(&always, &[]).unwrap();
    let (url, home) = (redis.url(), redis.home().to_owned());
    let ask = |command: &[&str]| {
        let output = Command::new("redis-cli").args(["--no-auth-warning", "-u", &url]).args(command).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    assert_eq!(ask(&["set", "kept", "1"]), "OK\n");

    redis.kill9().unwrap();
    assert_eq!(ask(&["get", "kept"]), "");
    redis.start().unwrap();
    assert_eq!(ask(&["get", "kept"]), "1\n");
    drop(redis);

    assert_eq!(ask(&["get", "kept"]), "");
    // A separate process removes the directory.
    let begin = Instant::now();
    while home.exists() {
        assert!(begin.elapsed() < Duration::from_secs(60), "{} still exists", home.display());
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn redis_requires_its_password() {
    if has_redis("the Redis server") {
        let redis = Redis::temporary(&[], &[]).unwrap();
        let address = format!("redis://{}", redis.url().split_once('@').unwrap().1);

        let output = Command::new("redis-cli").args(["-u", &address, "keys", "*"]).output().unwrap();

        assert!(String::from_utf8_lossy(&output.stdout).contains("NOAUTH"), "{output:?}");
    }
}
