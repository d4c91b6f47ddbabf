//! Every kind of session, side by side: the acceptance suite on four stores, the example `stores`, and `docs/stores.md`.

#[path = "../support/mod.rs"]
mod support;

#[path = "../../examples/stores/kind.rs"]
mod kind;
#[path = "../../examples/stores/pages.rs"]
mod pages;

mod subjects;

use subjects::{Cookie, InPostgres, InRedis, Memory};

#[actix_web::test]
async fn tmp_suite() {
    println!("MEMORY\n{}", session_store_suite::run(&Memory::default()).await);
    println!("COOKIE\n{}", session_store_suite::run(&Cookie).await);
    let s = std::time::Instant::now();
    println!("REDIS\n{}", session_store_suite::run(&InRedis::new(&[("appendonly", "yes")])).await);
    println!("{:?}", s.elapsed());
    let s = std::time::Instant::now();
    println!("PG\n{}", session_store_suite::run(&InPostgres::new().await).await);
    println!("{:?}", s.elapsed());
}
