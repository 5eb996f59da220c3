//! The table of fields: `proto-fixtures/fns-json/fields.csv`.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// Which generation of names is expected.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    Modern,
    Legacy,
}

/// What is known of one field of one object.
#[derive(Clone)]
pub(crate) struct Field {
    pub(crate) name: String,
    /// 0 for what the operator adds.
    pub(crate) tag: u16,
    pub(crate) kind: String,
    /// Name of 2017, where it differs.
    legacy: Option<String>,
    /// Versions in which it must be there.
    demanded: Vec<&'static str>,
}

/// The fields of each object.
pub(crate) struct Table {
    objects: BTreeMap<String, Vec<Field>>,
}

impl Table {
    pub(crate) fn read() -> Self {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../proto-fixtures/fns-json/fields.csv");
        let text = std::fs::read_to_string(path).unwrap();
        let mut lines = text.lines().filter(|line| !line.starts_with('#'));
        assert_eq!(lines.next(), Some("object,name,tag,kind,demanded,not_in,legacy,note"));
        let mut objects: BTreeMap<String, Vec<Field>> = BTreeMap::new();
        for line in lines {
            let cells: Vec<&str> = line.split(',').collect();
            let [names, name, tag, kind, demanded, not_in, legacy, _note] = cells[..] else {
                panic!("eight cells are expected: {line}")
            };
            for object in names.split(' ') {
                let fields = objects.entry(object.to_owned()).or_default();
                assert!(fields.iter().all(|field| field.name != name), "{object}.{name} twice");
                fields.push(Field {
                    name: name.to_owned(),
                    tag: tag.parse().unwrap(),
                    kind: kind.to_owned(),
                    legacy: (!legacy.is_empty()).then(|| legacy.to_owned()),
                    demanded: versions(demanded).filter(|version| !not_in.contains(version)).collect(),
                });
            }
        }
        Self { objects }
    }

    /// Fields of an object.
    pub(crate) fn object(&self, object: &str) -> &[Field] {
        self.objects.get(object).unwrap_or_else(|| panic!("the table has no object {object}"))
    }

    /// Every field as `object.name`.
    pub(crate) fn fields(&self) -> impl Iterator<Item = String> + '_ {
        self.of_all(|_| true)
    }

    /// Those whose name of 2017 differs.
    pub(crate) fn legacy_fields(&self) -> impl Iterator<Item = String> + '_ {
        self.of_all(|field| field.legacy.is_some())
    }

    fn of_all(&self, wanted: fn(&Field) -> bool) -> impl Iterator<Item = String> + '_ {
        self.objects.iter().flat_map(move |(object, fields)| {
            fields
                .iter()
                .filter(move |field| wanted(field))
                .map(move |field| format!("{object}.{}", field.name))
        })
    }
}

impl Field {
    /// Its name in the JSON.
    pub(crate) fn called(&self, names: Names) -> &str {
        self.legacy.as_deref().filter(|_| names == Names::Legacy).unwrap_or(&self.name)
    }

    pub(crate) fn is_demanded_in(&self, version: &str) -> bool {
        self.demanded.contains(&version)
    }
}

/// M: mandatory in the schema of 1.05, which 1.1 adds to; m: mandatory in the era of 1.2.
fn versions(demanded: &str) -> impl Iterator<Item = &'static str> {
    demanded.chars().flat_map(|mark| {
        match mark {
            'M' => ["1.05", "1.1"].as_slice(),
            'm' => ["1.2"].as_slice(),
            other => panic!("{other} is no mark"),
        }
        .iter()
        .copied()
    })
}
