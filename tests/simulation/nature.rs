//! What happens to Pods by nobody's wish.

use test_apiserver::{ApiServer, Termination};

use crate::{dice::Dice, trace::Trace};

/// Something happens to a Pod, if it is there.
pub fn strike(server: &ApiServer, dice: &Dice, trace: &Trace) {
    let name = *dice.one(&["a", "b"]);
    let (what, is_done) = match dice.below(6) {
        0 => ("evicted", server.evict("test", name).is_ok()),
        1 => ("deleted by someone", server.delete("Pod", "test", name).is_ok()),
        2 => ("vanished", server.vanish("test", name).is_ok()),
        3 => ("failed", server.fail_pod("test", name, Termination::exit(1), Some("Evicted")).is_ok()),
        4 => {
            let end = Termination::out_of_memory();
            ("container restarted", server.restart_container("test", name, "main", end).is_ok())
        }
        _ => ("unready", server.set_pod_ready("test", name, dice.percent(50)).is_ok()),
    };
    if is_done {
        trace.count(&format!("Pod {what}"));
    }
}

/// Every Pod is as well as its image lets it.
pub fn heal(server: &ApiServer) {
    for name in ["a", "b"] {
        // There may be none.
        let _ = server.set_pod_ready("test", name, true);
    }
}
