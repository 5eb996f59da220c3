//! What a form declares, laid out for the walk: per group a sorted list of fields, and as bit masks which of them are
//! mandatory.
//!
//! A field is declared when the table of forms names it for this form, version and group, or when the table of tags
//! puts the tag into this group in this version: the tables come from different sources, and each knows tags that the
//! other lacks.

use std::sync::LazyLock;

use super::conditional::{CONDITIONS, Condition};
use super::value::{Limit, Values};
use super::{MAY_BE_BLANK, NEVER_DEMANDED, OF_VERSIONS, TYPE_NOT_KNOWN};
use crate::dict::{FfdVersion, FormCode, FormDef, Medium, Requirement, TagDef, ValueKind, dictionary};

/// Requisites that ФФД 1.0 lets have any format.
const FREE_IN_1_0: [u16; 10] = [1045, 1067, 1069, 1071, 1080, 1082, 1083, 1084, 1112, 1119];

/// Tags from here on, [`DENSE`] of them, are found by index: nearly all that a receipt holds.
const FIRST_DENSE: u16 = 1000;
const DENSE: u16 = 300;
const NO_FIELD: u8 = u8::MAX;
/// Fields of a group up to which a search is as good as an index. Most groups have fewer, and their indexes together would
/// take more than all the rest.
const FEW: usize = 8;

/// One form in one version.
pub(super) struct FormPlan {
    pub(super) form: FormCode,
    /// The longest value of the document, bytes.
    pub(super) max_len: Option<usize>,
    version: FfdVersion,
    /// Sorted by tag.
    parents: Vec<ParentPlan>,
}

/// The top level of a form, or one of its groups.
pub(super) struct ParentPlan {
    /// The form code or the tag of the group.
    tag: u16,
    is_form: bool,
    /// Sorted.
    tags: Vec<u16>,
    /// Place in `tags` of each tag from [`FIRST_DENSE`] on, [`NO_FIELD`] for one that is not there; empty for [`FEW`] fields.
    dense: Vec<u8>,
    fields: Vec<FieldPlan>,
    /// Bit of each field that must be there.
    pub(super) mandatory: u128,
    /// Conditions of this place.
    pub(super) conditions: Vec<ConditionPlan>,
}

/// A condition of a group.
pub(super) struct ConditionPlan {
    pub(super) condition: &'static Condition,
    /// Bit of the field it demands.
    pub(super) demanded: u128,
    /// Bit of a field without which it cannot hold; 0 when there is none.
    pub(super) rests_on: u128,
}

/// A field of a group.
pub(super) struct FieldPlan {
    pub(super) tag: u16,
    /// Its number among the fields of its group.
    number: u8,
    /// Where the plan of its members lies, of a group that has one.
    inside: Option<u8>,
    pub(super) repeatable: bool,
    /// Whether one of the next three holds.
    pub(super) is_special: bool,
    /// Whether there is nothing to say of a single value that reads: no limit, no list, nothing special.
    pub(super) is_plain: bool,
    /// Whether ФФД 1.0 lets it have any format.
    pub(super) is_free_in_1_0: bool,
    /// Whether its place depends on the version, see [`OF_VERSIONS`].
    pub(super) is_of_versions: bool,
    /// Whether a source gives its type, see [`TYPE_NOT_KNOWN`].
    pub(super) is_type_known: bool,
    /// Whether a blank value is none, see [`MAY_BE_BLANK`].
    pub(super) may_be_blank: bool,
    pub(super) limit: Limit,
    pub(super) values: Option<Values>,
    def: Option<&'static TagDef>,
}

impl FormPlan {
    /// The plan of a form in a version; `None` when the tables do not have it.
    pub(super) fn of(form: FormCode, version: FfdVersion) -> Option<&'static Self> {
        static PLANS: LazyLock<Vec<FormPlan>> = LazyLock::new(all);
        let place = PLANS.binary_search_by_key(&(form, version), |plan| (plan.form, plan.version)).ok()?;
        PLANS.get(place)
    }

    /// What stands in this form code or group; `None` for a group whose members no table knows.
    pub(super) fn parent(&self, tag: u16) -> Option<&ParentPlan> {
        self.parents.iter().find(|parent| parent.tag == tag)
    }

    /// What stands in the group that a field is, as [`Self::parent`] of its tag.
    pub(super) fn inside(&self, field: &FieldPlan) -> Option<&ParentPlan> {
        self.parents.get(usize::from(field.inside?))
    }
}

impl ParentPlan {
    /// The field of this tag.
    #[inline]
    pub(super) fn field(&self, tag: u16) -> Option<&FieldPlan> {
        let number = match tag.checked_sub(FIRST_DENSE).and_then(|slot| self.dense.get(usize::from(slot))) {
            Some(&NO_FIELD) => return None,
            Some(&number) => usize::from(number),
            None => self.tags.binary_search(&tag).ok()?,
        };
        self.fields.get(number)
    }

    /// The field of this number.
    pub(super) fn at(&self, number: u32) -> Option<&FieldPlan> {
        self.fields.get(usize::try_from(number).ok()?)
    }

    /// The place, as a text says where something is (in the prepositional case).
    pub(super) fn name_ru(&self) -> String {
        if self.is_form {
            return "документе".to_owned();
        }
        let name = dictionary().meanings(self.tag).iter().find(|def| def.kind == ValueKind::Group);
        name.map_or_else(
            || format!("группе {}", self.tag),
            |def| format!("реквизите «{}» (тег {})", def.name_ru, def.tag),
        )
    }
}

impl FieldPlan {
    /// Its bit in the masks of its group.
    #[inline]
    pub(super) fn bit(&self) -> u128 {
        bit(usize::from(self.number))
    }

    /// Name and number of the requisite.
    pub(super) fn name_ru(&self) -> String {
        match self.def {
            Some(def) => format!("«{}» (тег {})", def.name_ru, def.tag),
            None => format!("(тег {})", self.tag),
        }
    }

    fn is_group(&self) -> bool {
        self.def.is_some_and(|def| def.kind == ValueKind::Group)
    }
}

/// Bit of a field; of those past the mask (no form has them) none.
fn bit(number: usize) -> u128 {
    u32::try_from(number).ok().and_then(|number| 1_u128.checked_shl(number)).unwrap_or_default()
}

/// All plans, sorted by form and version.
fn all() -> Vec<FormPlan> {
    let forms = FormCode::OF_KKT.into_iter().chain([7, 81, 82, 83, 84].map(FormCode));
    let pairs = forms.flat_map(|form| FfdVersion::ALL.map(|version| (form, version)));
    let mut plans: Vec<FormPlan> =
        pairs.filter_map(|(form, version)| dictionary().form(form, version).map(plan)).collect();
    plans.sort_by_key(|plan| (plan.form, plan.version));
    plans
}

fn plan(form: &'static FormDef) -> FormPlan {
    let document = dictionary().tag(form.form.0, 0, form.version);
    FormPlan {
        form: form.form,
        version: form.version,
        max_len: document.and_then(|def| def.max_len).and_then(|len| usize::try_from(len).ok()),
        parents: parents(form),
    }
}

/// The groups that the table of forms fills, and those it only names and the table of tags fills.
fn parents(form: &'static FormDef) -> Vec<ParentPlan> {
    let mut tags: Vec<u16> = form.fields.iter().map(|field| field.parent).collect();
    tags.dedup();
    let mut parents: Vec<ParentPlan> = Vec::new();
    // What a group holds may be a group of its own: the list grows while it is worked off.
    while let Some(&tag) = tags.get(parents.len()) {
        let parent = parent_plan(form, tag);
        for group in parent.fields.iter().filter(|field| field.is_group()) {
            if !tags.contains(&group.tag) {
                tags.push(group.tag);
            }
        }
        parents.push(parent);
    }
    parents.retain(|parent| !parent.fields.is_empty());
    parents.sort_by_key(|parent| parent.tag);
    let places: Vec<u16> = parents.iter().map(|parent| parent.tag).collect();
    for field in parents.iter_mut().flat_map(|parent| &mut parent.fields) {
        let place = places.iter().position(|&tag| tag == field.tag);
        field.inside = place.and_then(|place| u8::try_from(place).ok());
    }
    parents
}

/// Whether the table of tags puts a tag into a group.
fn is_member(def: &TagDef, parent: u16, version: FfdVersion) -> bool {
    def.parents.contains(&parent) && def.versions.contains(version)
}

fn parent_plan(form: &'static FormDef, parent: u16) -> ParentPlan {
    let of_tags = dictionary().tags().iter().filter(|&def| is_member(def, parent, form.version));
    let of_tags = of_tags.map(|def| def.tag);
    let mut tags: Vec<u16> = form.children(parent).iter().map(|field| field.tag).chain(of_tags).collect();
    tags.sort_unstable();
    tags.dedup();
    let fields: Vec<FieldPlan> =
        (0..=NO_FIELD).zip(&tags).map(|(number, &tag)| field_plan(form, parent, tag, number)).collect();
    let has_condition =
        |tag| CONDITIONS.iter().any(|condition| condition.is_about(form.form.0, form.version, parent, tag));
    let mandatory = |tag: u16| {
        form.field(parent, tag).is_some_and(|field| {
            field.requirement == Requirement::Mandatory
                && field.medium != Medium::Printed
                && !NEVER_DEMANDED.contains(&tag)
                && !has_condition(tag)
        })
    };
    let numbered = || tags.iter().copied().enumerate();
    let bit_of = |tag: u16| tags.binary_search(&tag).map(bit).unwrap_or_default();
    let conditions = tags.iter().flat_map(|&tag| {
        CONDITIONS
            .iter()
            .filter(move |condition| condition.is_about(form.form.0, form.version, parent, tag))
            .map(move |condition| ConditionPlan {
                condition,
                demanded: bit_of(tag),
                rests_on: condition.rests_on().map(bit_of).unwrap_or_default(),
            })
    });
    ParentPlan {
        tag: parent,
        is_form: parent == form.form.0,
        mandatory: numbered().filter(|&(_, tag)| mandatory(tag)).map(|(number, _)| bit(number)).sum(),
        conditions: conditions.collect(),
        dense: (FIRST_DENSE..FIRST_DENSE + if tags.len() > FEW { DENSE } else { 0 })
            .map(|tag| tags.binary_search(&tag).ok().and_then(|number| u8::try_from(number).ok()))
            .map(|number| number.unwrap_or(NO_FIELD))
            .collect(),
        fields,
        tags,
    }
}

fn field_plan(form: &'static FormDef, parent: u16, tag: u16, number: u8) -> FieldPlan {
    let def = dictionary().tag(tag, parent, form.version);
    let field = form.field(parent, tag);
    let is_of_versions = OF_VERSIONS.iter().any(|&(other, _)| other == tag);
    let (is_free_in_1_0, may_be_blank) = (FREE_IN_1_0.contains(&tag), MAY_BE_BLANK.contains(&tag));
    let is_special = is_of_versions || is_free_in_1_0 || may_be_blank;
    let (limit, values) = (def.map_or(Limit::None, Limit::of), def.and_then(Values::of));
    FieldPlan {
        tag,
        number,
        inside: None,
        is_special,
        is_plain: !is_special && limit == Limit::None && values.is_none(),
        repeatable: field.is_some_and(|field| field.repeatable) || def.is_some_and(|def| def.repeatable),
        is_of_versions,
        is_free_in_1_0,
        is_type_known: !TYPE_NOT_KNOWN.contains(&tag),
        may_be_blank,
        limit,
        values,
        def,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tags;

    #[test]
    fn every_form_of_the_tables_has_its_plan() {
        for form in FormCode::OF_KKT.into_iter().chain([7, 81, 82, 83, 84].map(FormCode)) {
            for version in FfdVersion::ALL {
                let Some(def) = dictionary().form(form, version) else {
                    assert!(FormPlan::of(form, version).is_none());
                    continue;
                };
                let plan = FormPlan::of(form, version).unwrap();
                assert!(plan.max_len.is_some(), "form {form}");
                for parent in &plan.parents {
                    assert!(
                        parent.fields.len() <= 128,
                        "form {form}: a bit for each field of {}",
                        parent.tag
                    );
                }
                for field in &def.fields {
                    let parent = plan.parent(field.parent).unwrap();
                    assert!(
                        parent.field(field.tag).is_some(),
                        "form {form}: {} in {}",
                        field.tag,
                        field.parent
                    );
                }
            }
        }
        assert!(FormPlan::of(FormCode(85), FfdVersion::V1_2).is_none());
        assert!(FormPlan::of(FormCode(81), FfdVersion::V1_05).is_none());
    }

    #[test]
    fn mandatory_is_what_the_electronic_document_must_carry() {
        let check = |form, version, parent, tag, expected| {
            let plan = FormPlan::of(FormCode(form), version).unwrap().parent(parent).unwrap();
            let field = plan.field(tag).unwrap();
            assert_eq!(plan.mandatory & field.bit() != 0, expected, "{tag} in {parent} of {form}, {version}");
        };
        check(3, FfdVersion::V1_2, 3, tags::TOTAL_SUM, true);
        check(3, FfdVersion::V1_2, tags::ITEM, tags::ITEM_COST, true);
        check(3, FfdVersion::V1_2, 3, tags::TITLE, false);
        check(3, FfdVersion::V1_2, 3, 1021, false);
        check(1, FfdVersion::V1_2, 1, 1021, false);
        check(5, FfdVersion::V1_2, 5, tags::SHIFT_TOTALS, true);
        check(82, FfdVersion::V1_2, tags::MARKED_GOODS, 2115, false);
        // What a condition speaks of is its alone.
        check(3, FfdVersion::V1_2, 3, tags::ADDRESS, false);
        check(1, FfdVersion::V1_2, 1, tags::ADDRESS, true);
        check(3, FfdVersion::V1_1, tags::ITEM, tags::PRICE, false);
        check(3, FfdVersion::V1_2, tags::ITEM, tags::PRICE, true);
    }

    /// Reports declare it without saying what is in it, which the table of tags does.
    #[test]
    fn every_declared_group_with_known_members_is_looked_into() {
        for form in FormCode::OF_KKT.into_iter().chain([7, 81, 82, 83, 84].map(FormCode)) {
            for plan in FfdVersion::ALL.into_iter().filter_map(|version| FormPlan::of(form, version)) {
                assert!(plan.parents.is_sorted_by_key(|parent| parent.tag), "form {form}");
                let fields = plan.parents.iter().flat_map(|parent| &parent.fields);
                for field in fields.filter(|field| field.is_group()) {
                    let mut tags = dictionary().tags().iter();
                    let has_members = tags.any(|def| is_member(def, field.tag, plan.version));
                    assert!(!has_members || plan.parent(field.tag).is_some(), "{} of {form}", field.tag);
                    let inside = plan.inside(field).map(|parent| parent.tag);
                    assert_eq!(inside, plan.parent(field.tag).map(|_| field.tag), "{} of {form}", field.tag);
                }
            }
        }
    }

    #[test]
    fn every_condition_has_a_field_to_demand() {
        for condition in &CONDITIONS {
            for &form in condition.forms {
                for &version in condition.versions {
                    let plan = FormPlan::of(FormCode(form), version).unwrap();
                    let parent = if condition.parent == 0 { form } else { condition.parent };
                    let field = plan.parent(parent).and_then(|parent| parent.field(condition.demanded));
                    assert!(field.is_some(), "{} in {parent} of {form}, {version}", condition.demanded);
                }
            }
        }
    }
}
