//! What goes wrong between the operators and the API server.

use std::time::Duration;

use test_apiserver::{ApiServer, Fault, Matcher, TestClient, failure};

use crate::{dice::Dice, trace::Trace};

const KINDS: [&str; 6] = ["Workspace", "Pod", "PersistentVolumeClaim", "Service", "Secret", "NetworkPolicy"];

/// How bad it is in one play.
pub struct Weather {
    dice: Dice,
    trace: Trace,
    /// How many requests of a hundred meet a fault.
    percent: usize,
}

impl Weather {
    pub fn new(dice: Dice, trace: Trace) -> Self {
        let percent = *dice.one(&[0, 2, 5, 15]);
        Self { dice, trace, percent }
    }

    /// From now on it is so for this operator.
    pub fn begin(&self, client: &TestClient) {
        let faults = [
            ("429", Fault::Answer(failure::too_many_requests("slow down", 1))),
            ("500 before", Fault::Answer(failure::internal("no"))),
            ("500 after", Fault::DoThenAnswer(failure::internal("etcd is slow"))),
            ("504 after", Fault::DoThenAnswer(failure::timed_out())),
            ("disconnected", Fault::Disconnect),
            ("late", Fault::Delay(Duration::from_millis(700))),
            ("very late", Fault::Delay(Duration::from_secs(20))),
            ("never before", Fault::Silence),
            ("never after", Fault::DoThenSilence),
        ];
        if self.percent == 0 {
            return;
        }
        for (name, fault) in faults {
            let (dice, trace, percent) = (self.dice.clone(), self.trace.clone(), self.percent);
            let sides = 100 * 9;
            // Whoever reads waits for an answer as long as the client lets it: minutes. A pass has a limit of its own.
            let is_never = name.starts_with("never");
            let matcher = Matcher::any().when(move |request| {
                if is_never && !request.verb.is_write() {
                    return false;
                }
                let strikes = dice.below(sides) < percent;
                if strikes {
                    trace.count(&format!("fault {name}"));
                }
                strikes
            });
            client.faults().on(matcher, fault);
        }
    }

    /// Something happens to the watches of an operator.
    pub fn gust(&self, server: &ApiServer, client: &TestClient) {
        let kind = *self.dice.one(&KINDS);
        let matcher = Matcher::kind(kind);
        let what = match self.dice.below(6) {
            0 => {
                client.freeze_watches(matcher);
                "watch frozen"
            }
            1 | 2 => {
                client.thaw_watches();
                "watches thawed"
            }
            3 => {
                client.drop_watches(&matcher);
                "watch dropped"
            }
            4 => {
                client.expire_watches(&matcher);
                "watch expired"
            }
            _ => {
                server.forget_history();
                client.close_watches(&matcher);
                "history forgotten"
            }
        };
        self.trace.count(what);
    }
}
