//! The catalogues: invented goods with everything that decides about their tags.

/// Which VAT rate a good falls under, before the year and the taxation system decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VatClass {
    General,
    Reduced,
    /// 0 %.
    Zero,
    /// Never taxed.
    Exempt,
}

/// How a good is measured: tags 2108 and 1197.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    Piece,
    Kilogram,
    Metre,
    Litre,
    Service,
}

/// Whether a good carries a marking code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MarkClass {
    None,
    Whole,
    /// Also sold in parts: so many in a pack.
    InParts(u64),
}

/// A line of a catalogue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Good {
    pub(crate) name: &'static str,
    pub(crate) low_roubles: u64,
    pub(crate) high_roubles: u64,
    pub(crate) vat: VatClass,
    pub(crate) measure: Measure,
    pub(crate) mark: MarkClass,
    /// Excise in a piece, kopecks; 0 for none.
    pub(crate) excise: u64,
    /// Country of origin (1230) and number of the customs declaration (1231).
    pub(crate) imported: Option<(&'static str, &'static str)>,
}

impl Good {
    const fn marked(self) -> Self {
        Self { mark: MarkClass::Whole, ..self }
    }

    const fn in_parts(self, parts: u64) -> Self {
        Self { mark: MarkClass::InParts(parts), ..self }
    }

    const fn excisable(self, excise: u64) -> Self {
        Self { excise, ..self }
    }

    const fn imported(self, country: &'static str, declaration: &'static str) -> Self {
        Self { imported: Some((country, declaration)), ..self }
    }
}

const fn good(name: &'static str, low: u64, high: u64, vat: VatClass, measure: Measure) -> Good {
    Good {
        name,
        low_roubles: low,
        high_roubles: high,
        vat,
        measure,
        mark: MarkClass::None,
        excise: 0,
        imported: None,
    }
}

const fn piece(name: &'static str, low: u64, high: u64, vat: VatClass) -> Good {
    good(name, low, high, vat, Measure::Piece)
}

const fn weighed(name: &'static str, low: u64, high: u64) -> Good {
    good(name, low, high, Reduced, Measure::Kilogram)
}

const fn service(name: &'static str, low: u64, high: u64, vat: VatClass) -> Good {
    good(name, low, high, vat, Measure::Service)
}

use VatClass::{Exempt, General, Reduced, Zero};

pub(super) const GROCERY: [Good; 18] = [
    piece("Хлеб ржаной нарезной 400 г", 45, 80, Reduced),
    piece("Батон подмосковный 350 г", 42, 70, Reduced),
    piece("Яйцо куриное С1, 10 шт", 99, 150, Reduced),
    piece("Крупа гречневая 800 г", 79, 130, Reduced),
    piece("Сахар-песок 1 кг", 69, 100, Reduced),
    piece("Чай чёрный листовой 100 г", 119, 249, General),
    piece("Кофе молотый 250 г", 299, 549, General).imported("076", "10702070/120126/0001234"),
    piece("Шоколад горький 90 г", 89, 159, General),
    piece("Пакет-майка", 5, 10, General),
    piece("Макароны перья 450 г", 49, 100, Reduced),
    weighed("Картофель мытый, весовой", 40, 70),
    weighed("Яблоки Гала, весовые", 120, 190),
    weighed("Бананы, весовые", 110, 170),
    weighed("Томаты на ветке, весовые", 190, 330),
    piece("Молоко пастеризованное 3,2% 930 мл", 79, 129, Reduced).marked(),
    piece("Вода питьевая негазированная 1,5 л", 39, 79, General).marked(),
    piece("Сигареты с фильтром, пачка", 159, 259, General).marked().excisable(6_720),
    piece("Сидр яблочный 0,75 л", 149, 299, General).excisable(1_950),
];
pub(super) const HARDWARE: [Good; 11] = [
    piece("Лампа светодиодная E27 10 Вт", 89, 219, General).imported("156", "10013160/050226/3014567"),
    piece("Изолента ПВХ 19 мм x 20 м", 59, 129, General),
    piece("Набор отвёрток, 6 предметов", 390, 990, General),
    piece("Краска акриловая белая 2,5 л", 690, 1490, General),
    piece("Перчатки хлопковые", 29, 79, General),
    piece("Саморезы 3,5x35, 200 шт", 119, 249, General),
    piece("Батарейки АА, 4 шт", 149, 329, General),
    piece("Удлинитель 3 м, 4 розетки", 390, 790, General),
    piece("Скотч упаковочный 50 м", 69, 139, General),
    piece("Смеситель для кухни", 1990, 5490, General),
    good("Кабель ВВГнг 3x1,5", 79, 119, General, Measure::Metre),
];
pub(super) const COFFEE: [Good; 8] = [
    piece("Капучино 0,3 л", 190, 290, General),
    piece("Латте 0,4 л", 210, 320, General),
    piece("Эспрессо", 110, 180, General),
    piece("Чай облепиховый", 180, 260, General),
    piece("Круассан с миндалём", 150, 260, General),
    piece("Сырники со сметаной", 290, 420, General),
    piece("Сэндвич с индейкой", 260, 390, General),
    piece("Лимонад домашний", 190, 290, General),
];
pub(super) const REPAIRS: [Good; 6] = [
    service("Замена молнии", 400, 900, General),
    service("Ремонт обуви: набойки", 300, 700, General),
    service("Изготовление ключа", 150, 450, General),
    service("Заточка ножей", 100, 300, General),
    service("Диагностика бытовой техники", 500, 1200, General),
    service("Замена батарейки в часах", 200, 450, General),
];
pub(super) const PHARMACY: [Good; 8] = [
    piece("Ибупрофен таб. 400 мг N20", 60, 140, Reduced).in_parts(2),
    piece("Парацетамол таб. 500 мг N30", 30, 90, Reduced).in_parts(3),
    piece("Амоксициллин капс. 500 мг N16", 120, 260, Reduced).marked(),
    piece("Омепразол капс. 20 мг N28", 70, 190, Reduced).in_parts(4),
    piece("Комплекс витаминов, БАД N60", 390, 990, General).marked(),
    piece("Бинт стерильный 7 м x 14 см", 35, 79, Reduced),
    piece("Термометр электронный", 290, 690, Reduced),
    piece("Крем для рук 75 мл", 119, 259, General),
];
pub(super) const TAXI: [Good; 3] = [
    service("Перевозка пассажира и багажа", 150, 1500, Exempt),
    service("Ожидание пассажира", 50, 300, Exempt),
    service("Доставка отправления", 190, 900, Exempt),
];
pub(super) const INTERNET: [Good; 7] = [
    piece("Кроссовки беговые", 2990, 7990, General).marked().imported("704", "10131010/210126/5009876"),
    piece("Чехол для телефона", 390, 990, General),
    piece("Книга \"Сборник рассказов\"", 390, 890, Reduced),
    piece("Конструктор детский, 240 деталей", 990, 2490, Reduced),
    piece("Наушники беспроводные", 1990, 6990, General).imported("156", "10702070/110226/3001122"),
    piece("Рюкзак городской 20 л", 1490, 4990, General),
    service("Доставка до двери", 190, 490, General),
];
pub(super) const AGENT: [Good; 4] = [
    service("Оплата услуг связи", 100, 1500, Exempt),
    service("Оплата жилищно-коммунальных услуг", 900, 6500, Exempt),
    service("Проезд в пригородном поезде", 60, 400, Zero),
    piece("Кружка сувенирная", 290, 690, General),
];
pub(super) const VENDING: [Good; 2] = [
    good("Молоко цельное на розлив", 80, 110, Reduced, Measure::Litre),
    piece("Бутылка пустая 1 л", 20, 30, General),
];
