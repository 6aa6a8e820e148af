//! Amounts that are added up and compared exactly.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube_quantity::ParsedQuantity;

/// A quantity in billionths, the finest there is. `ParsedQuantity` itself compares `1Gi` and `1073741824` over
/// rounded factors and panics where it overflows; users write both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Amount(i128);

impl Amount {
    /// None where it is no quantity, or a negative one, which could make room for another.
    pub(super) fn parse(quantity: &Quantity) -> Option<Self> {
        let units = ParsedQuantity::try_from(quantity).ok()?.to_bytes_f64()?;
        #[allow(clippy::cast_possible_truncation, reason = "the cast stops at the largest number")]
        let billionths = (units * 1e9).round() as i128;
        (billionths >= 0).then_some(Self(billionths))
    }

    /// Both together.
    pub(super) fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(text: &str) -> Option<Amount> {
        Amount::parse(&Quantity(text.into()))
    }

    #[test]
    fn the_same_amount_is_the_same_in_every_notation() {
        for (one, other) in [
            ("1Gi", "1073741824"),
            ("1Gi", "1024Mi"),
            ("1", "1000m"),
            ("1.5", "1500m"),
            ("1G", "1e9"),
            ("0.1", "100m"),
            ("2Ti", "2048Gi"),
            ("1n", "0.001u"),
        ] {
            assert_eq!(amount(one).unwrap(), amount(other).unwrap(), "{one} {other}");
        }
        assert!(amount("1073741825") > amount("1Gi"));
        assert_eq!(amount("100m").unwrap().plus(amount("200m").unwrap()), amount("300m").unwrap());
    }

    #[test]
    fn an_absurd_amount_is_only_large() {
        let absurd = amount("9999999999999999999999999999Pi").unwrap();
        assert!(absurd > amount("1Pi").unwrap());
        assert!(absurd.plus(absurd) >= absurd);
    }

    #[test]
    fn what_is_no_amount_is_none() {
        for text in ["lots", "-1", "inf", "nan", "1 Gi", "1Gb"] {
            assert_eq!(amount(text), None, "{text}");
        }
    }
}
