//! The packet filter rules that kube-proxy, kubelet and CNI leave behind.

use crate::{command, error::Error, real_node::packages::find};

const FAMILIES: [&str; 2] = ["iptables", "ip6tables"];
const OURS: [&str; 2] = ["KUBE-", "CNI-"];

/// The chains and rules of ours that exist now, for both address families.
pub(crate) async fn remaining() -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    for family in FAMILIES {
        let saved = saved(family).await?;
        found.extend(
            saved.lines().filter(|line| !line.starts_with('#') && names_ours(line)).map(str::to_owned),
        );
    }
    Ok(found)
}

/// Removes them and tells how many lines that were.
pub(crate) async fn clear() -> Result<usize, Error> {
    let mut removed = 0;
    for family in FAMILIES {
        let script = removal(&saved(family).await?);
        if !script.is_empty() {
            command::run_with_input(&format!("{family}-restore"), &["--noflush"], &script).await?;
            removed += script.lines().filter(|line| line.starts_with('-')).count();
        }
    }
    Ok(removed)
}

async fn saved(family: &str) -> Result<String, Error> {
    let program = format!("{family}-save");
    if find(&program).is_none() {
        return Ok(String::new());
    }
    command::run::<&str>(&program, &[]).await
}

fn names_ours(line: &str) -> bool {
    line.split_whitespace().any(|word| {
        let word = word.trim_start_matches([':', '"']);
        OURS.iter().any(|prefix| word.starts_with(prefix))
    })
}

/// Turns what `iptables-save` printed into the `iptables-restore` input that removes exactly our part.
fn removal(saved: &str) -> String {
    let mut script: Vec<String> = Vec::new();
    let (mut declared, mut rules, mut deleted, mut table) = (Vec::new(), Vec::new(), Vec::new(), "");
    for line in saved.lines() {
        if let Some(name) = line.strip_prefix('*') {
            (declared, rules, deleted, table) = (Vec::new(), Vec::new(), Vec::new(), name);
        } else if let Some(chain) = line.strip_prefix(':').filter(|_| names_ours(line)) {
            let chain = chain.split_whitespace().next().unwrap_or_default();
            // Declaring a chain that exists empties it.
            declared.push(format!(":{chain} - [0:0]"));
            deleted.push(format!("-X {chain}"));
        } else if let Some(rule) = line.strip_prefix("-A ") {
            let in_our_chain = rule.split_whitespace().next().is_some_and(names_ours);
            if !in_our_chain && names_ours(rule) {
                rules.push(format!("-D {rule}"));
            }
        } else if line == "COMMIT" && !(declared.is_empty() && rules.is_empty()) {
            script.push(format!("*{table}"));
            script.extend([&declared, &rules, &deleted].into_iter().flatten().cloned());
            script.push("COMMIT".into());
        }
    }
    script.iter().map(|line| format!("{line}\n")).collect::<Vec<_>>().concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAVED: &str = "# Generated
*filter
:INPUT ACCEPT [0:0]
:DOCKER - [0:0]
:KUBE-FORWARD - [0:0]
-A INPUT -j DOCKER
-A FORWARD -m comment --comment \"kubernetes forwarding rules\" -j KUBE-FORWARD
-A KUBE-FORWARD -j ACCEPT
COMMIT
*nat
:POSTROUTING ACCEPT [0:0]
:CNI-0123 - [0:0]
-A POSTROUTING -s 10.244.0.2/32 -j CNI-0123
COMMIT
*mangle
:OUTPUT ACCEPT [0:0]
COMMIT
";

    #[test]
    fn only_our_chains_and_the_rules_that_lead_to_them_are_removed() {
        assert_eq!(
            removal(SAVED),
            "*filter
:KUBE-FORWARD - [0:0]
-D FORWARD -m comment --comment \"kubernetes forwarding rules\" -j KUBE-FORWARD
-X KUBE-FORWARD
COMMIT
*nat
:CNI-0123 - [0:0]
-D POSTROUTING -s 10.244.0.2/32 -j CNI-0123
-X CNI-0123
COMMIT
"
        );
    }

    #[test]
    fn a_host_without_our_rules_is_left_alone() {
        assert_eq!(removal("*filter\n:DOCKER - [0:0]\n-A INPUT -j DOCKER\nCOMMIT\n"), "");
    }
}
