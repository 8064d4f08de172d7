//! UUIDs as drivers wrote them before BSON had a subtype of its own for them: subtype 3, each language in its own order of
//! bytes. The orders are those of PyMongo's and the Rust driver's `UuidRepresentation`.

use uuid::Uuid;

use crate::crud::schema::LegacyUuid;

/// The BSON subtype.
pub(super) const SUBTYPE: u8 = 3;

/// From the stored order to the usual one, and as well back.
pub(super) fn reorder(order: LegacyUuid, uuid: Uuid) -> Uuid {
    let mut bytes = uuid.into_bytes();
    let reversed: &[std::ops::Range<usize>] = match order {
        LegacyUuid::Python => &[],
        LegacyUuid::Java => &[0..8, 8..16],
        LegacyUuid::CSharp => &[0..4, 4..6, 6..8],
    };
    for part in reversed {
        bytes[part.clone()].reverse();
    }
    Uuid::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use bson::UuidRepresentation;

    use super::*;

    #[test]
    fn the_orders_are_those_of_the_driver() {
        let uuid = Uuid::from_u128(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff);
        for (ours, theirs) in [
            (LegacyUuid::Python, UuidRepresentation::PythonLegacy),
            (LegacyUuid::Java, UuidRepresentation::JavaLegacy),
            (LegacyUuid::CSharp, UuidRepresentation::CSharpLegacy),
        ] {
            let binary = bson::Binary::from_uuid_with_representation(bson::Uuid::from_bytes(uuid.into_bytes()), theirs);
            assert_eq!(binary.bytes, reorder(ours, uuid).as_bytes());
            assert_eq!(u8::from(binary.subtype), SUBTYPE);
            assert_eq!(reorder(ours, reorder(ours, uuid)), uuid);
        }
    }
}
