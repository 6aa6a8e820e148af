//! The promise of a rotation, with real certificates: over years, and however late a client's bundle is, it trusts
//! what is served.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use proptest::prelude::*;
use rustls::{
    RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use super::{
    BUNDLE, CERTIFICATE,
    name::Name,
    plan::Life,
    stored::Stored,
    tls,
    x509::{self, Content},
};

const START: Timestamp = Timestamp::constant(1_800_000_000, 0);
/// How late a client may be. Not the plan's own constant, which a mistake would change along.
const LATE: SignedDuration = SignedDuration::from_hours(1);
/// How late a replica may be that did not write itself.
const NEXT_LOOK: SignedDuration = SignedDuration::from_mins(1);

/// What was written, and when.
struct Written {
    at: Timestamp,
    entries: BTreeMap<String, ByteString>,
}

impl Written {
    fn certificates(&self, entry: &str) -> Vec<CertificateDer<'static>> {
        x509::from_pem(&self.entries[entry].0).0
    }
}

fn names(is_wide: bool) -> BTreeSet<Name> {
    let names: &[&str] = if is_wide { &["operator", "other"] } else { &["operator"] };
    names.iter().map(|name| Name::parse(name).unwrap()).collect()
}

/// What counted at a time; before the first write, that one.
fn as_of(history: &[Written], at: Timestamp) -> &Written {
    history.iter().rfind(|written| written.at <= at).unwrap_or(&history[0])
}

/// A client's real judgement.
fn trusts(bundle: &[CertificateDer<'static>], served: &CertificateDer<'static>, now: Timestamp) -> bool {
    let mut roots = RootCertStore::empty();
    for authority in bundle {
        roots.add(authority.clone()).unwrap();
    }
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), tls::provider()).build().unwrap();
    let now = UnixTime::since_unix_epoch(now.duration_since(Timestamp::UNIX_EPOCH).unsigned_abs());
    let name = ServerName::try_from("operator").unwrap();
    verifier.verify_server_cert(served, &[], &name, &[], now).is_ok()
}

/// When which bundle makes which served certificate good. The real judgement is taken once for each pair, as it
/// costs most; afterwards the dates decide.
type Judged = HashMap<(Vec<u8>, Vec<u8>), Vec<Life>>;

fn judge(client: &Written, replica: &Written, now: Timestamp) -> Vec<Life> {
    let bundle = client.certificates(BUNDLE);
    let served = replica.certificates(CERTIFICATE).remove(0);
    if !trusts(&bundle, &served, now) {
        return Vec::new();
    }
    // The library doesn't ask whether a CA is still valid; others do.
    let signer = bundle.iter().find(|authority| x509::is_signed_by(&served, authority)).unwrap();
    [signer, &served].map(|der| Content::read(der).unwrap().life).to_vec()
}

/// Whether every client trusts every replica at that time.
fn is_trusted_by_all(history: &[Written], now: Timestamp, late: SignedDuration, judged: &mut Judged) -> bool {
    [SignedDuration::ZERO, late, LATE].iter().all(|late| {
        [SignedDuration::ZERO, NEXT_LOOK].iter().all(|behind| {
            let (client, replica) = (as_of(history, now - *late), as_of(history, now - *behind));
            let pair = (client.entries[BUNDLE].0.clone(), replica.entries[CERTIFICATE].0.clone());
            let lives = judged.entry(pair).or_insert_with(|| judge(client, replica, now));
            !lives.is_empty() && lives.iter().all(|life| life.holds(now))
        })
    })
}

fn any_step() -> impl Strategy<Value = SignedDuration> {
    prop_oneof![
        2 => (1_i64..150).prop_map(SignedDuration::from_mins),
        3 => (1_i64..29 * 24).prop_map(SignedDuration::from_hours),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn over_years_every_client_trusts_what_is_served(
        steps in proptest::collection::vec((any_step(), 0_i64..=60, proptest::bool::weighted(0.9)), 150..250)
    ) {
        let mut now = START;
        let mut entries = BTreeMap::new();
        let mut history: Vec<Written> = Vec::new();
        let mut judged = Judged::new();
        let mut authorities = BTreeSet::new();
        for (step, late, is_wide) in steps {
            let (mut stored, flaws) = Stored::read(&entries);
            prop_assert!(history.is_empty() || flaws.is_empty(), "{flaws:?}");
            stored.advance(&names(is_wide), now).unwrap();
            if stored.entries() != entries {
                entries = stored.entries();
                history.push(Written { at: now, entries: entries.clone() });
            }
            let bundle = history[history.len() - 1].certificates(BUNDLE);
            prop_assert!(bundle.len() <= 2, "{} CAs", bundle.len());
            authorities.extend(bundle.iter().map(|authority| authority.to_vec()));

            let late = SignedDuration::from_mins(late);
            let next = now + step;
            for at in [now, now + step / 2, next - SignedDuration::from_secs(1)] {
                let is_trusted = is_trusted_by_all(&history, at, late, &mut judged);
                prop_assert!(is_trusted, "at {at}, {} late; written at {}", late, history[history.len() - 1].at);
            }
            now = next;
        }
        // The walk is worth something only if CAs came and went.
        let years = (now - START).total(jiff::Unit::Hour).unwrap() / (365.0 * 24.0);
        prop_assert!(years < 2.0 || authorities.len() > 1, "{} CAs in {years} years", authorities.len());
        // A look that changes nothing writes nothing.
        prop_assert!(history.len() < 40 + 8 * authorities.len(), "{} writes", history.len());
    }
}
