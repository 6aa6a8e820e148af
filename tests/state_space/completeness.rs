//! Nothing of the schema is forgotten.

use std::collections::BTreeSet;

use crate::{
    case,
    kind::{Kind, properties},
};

#[test]
fn every_property_of_the_schema_is_changed() {
    for kind in Kind::ALL {
        let root = kind.schema();
        let properties: BTreeSet<String> =
            properties(&root).iter().map(|(place, _)| place.to_string()).collect();
        let cases = case::all(kind);
        let changed: BTreeSet<String> =
            cases.iter().filter(|case| !case.specs.is_empty()).map(|case| case.name.clone()).collect();
        assert_eq!(properties, changed);
        let still: Vec<_> =
            cases.iter().filter(|case| case.specs.iter().all(|spec| *spec == kind.base())).collect();
        assert!(still.is_empty(), "these change nothing: {still:?}");
    }
}
