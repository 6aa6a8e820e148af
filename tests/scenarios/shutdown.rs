//! Ending the operator itself.

use std::time::Duration;

use test_apiserver::{Fault, Matcher, Verb, failure};
use test_world::World;

scenarios_in_memory!(an_operator_that_never_got_ready_ends_when_told_to);

async fn an_operator_that_never_got_ready_ends_when_told_to(mut world: World) {
    world.kill_operator().await;
    let faults = world.operator().unwrap().faults();
    let lists = Matcher::kind("Service").verb(Verb::List);
    faults.on(lists, Fault::Answer(failure::access_denied("list", "services")));
    world.start_operator();
    world.quiet().await;
    tokio::time::timeout(Duration::from_secs(30), world.stop_operator()).await.expect("it ends");
}
