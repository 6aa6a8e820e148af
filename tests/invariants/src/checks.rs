//! One file for each invariant, or pair, by what it says.

mod a_failed_start_says_why;
mod a_ready_pod_serves_on;
mod changes_arrive;
mod claimed_before_it_starts;
mod deletion_takes_the_children;
mod failures_back_off;
mod no_forbidden_environment;
mod no_restart_without_a_reason;
mod no_word_of_an_overtaken_start;
mod nothing_is_left_behind;
mod one_pod_at_a_time;
mod only_the_newest_is_heard;
mod others_objects_are_left_alone;
mod restarts_are_served_once;
mod stopped_means_no_pod;
mod the_gate_holds;
mod trouble_stays_at_home;

use crate::{History, Violation};

const ALL: [fn(&History) -> Vec<Violation>; 17] = [
    one_pod_at_a_time::check,
    no_word_of_an_overtaken_start::check,
    changes_arrive::check,
    stopped_means_no_pod::check,
    deletion_takes_the_children::check,
    nothing_is_left_behind::check,
    claimed_before_it_starts::check,
    only_the_newest_is_heard::check,
    no_restart_without_a_reason::check,
    failures_back_off::check,
    a_ready_pod_serves_on::check,
    a_failed_start_says_why::check,
    others_objects_are_left_alone::check,
    no_forbidden_environment::check,
    trouble_stays_at_home::check,
    restarts_are_served_once::check,
    the_gate_holds::check,
];

/// Everything in `history` that must never happen.
pub fn check(history: &History) -> Vec<Violation> {
    ALL.iter().flat_map(|check| check(history)).collect()
}
