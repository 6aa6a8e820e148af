//! The campaign itself.

use crate::{choice::Choice, courses, listed, sequence, stage::Stage};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_change_leads_to_what_a_new_workspace_has_and_back() {
    let choice = Choice::of_environment();
    let cases = choice.cases();
    eprintln!("{} cases; again: {}", cases.len(), choice.how_to_repeat());
    let stage = Stage::up().await;
    let mut report = courses::run(&stage, &cases).await;
    stage.down().await;
    eprintln!("{report}");
    if choice.is_all() {
        report.faults.extend(listed::faults(&report));
    }
    report.assert_clean(&choice.how_to_repeat());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_sequences_lead_to_what_a_new_workspace_has_and_back() {
    let choice = Choice::of_environment();
    let cases = sequence::of_seed(choice.seed, choice.sequences);
    eprintln!("{} sequences; again: {}", cases.len(), choice.how_to_repeat());
    let stage = Stage::up().await;
    let report = courses::run(&stage, &cases).await;
    stage.down().await;
    eprintln!("{report}");
    report.assert_clean(&choice.how_to_repeat());
}
