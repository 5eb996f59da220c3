//! Names of the tags that code reads or writes by number; every other tag is known only to the tables of the
//! dictionary. One list, so that a tag has one name everywhere. Source: FFD order, tables of requisites.

/// Наименование документа: the title.
pub const TITLE: u16 = 1000;
/// Дата, время: the till's wall clock; in document 7 real UTC.
pub const DATE_TIME: u16 = 1012;
/// Заводской номер ККТ.
pub const KKT_SERIAL: u16 = 1013;
/// ИНН ОФД.
pub const OFD_INN: u16 = 1017;
/// ИНН пользователя.
pub const USER_INN: u16 = 1018;
/// Сумма расчета, kopecks.
pub const TOTAL_SUM: u16 = 1020;
/// Код ответа ОФД.
pub const OPERATOR_CODE: u16 = 1022;
/// Регистрационный номер ККТ (РНМ).
pub const RNM: u16 = 1037;
/// Номер смены.
pub const SHIFT_NUMBER: u16 = 1038;
/// Номер ФД.
pub const FD_NUMBER: u16 = 1040;
/// Номер ФН.
pub const FN_NUMBER: u16 = 1041;
/// Номер чека за смену.
pub const RECEIPT_NUMBER: u16 = 1042;
/// Признак расчета.
pub const OPERATION_TYPE: u16 = 1054;
/// Применяемая система налогообложения.
pub const APPLIED_TAXATION: u16 = 1055;
/// Признак шифрования.
pub const ENCRYPTION_SIGN: u16 = 1056;
/// Предмет расчета (item of a receipt).
pub const ITEM: u16 = 1059;
/// Сообщение оператора для ФН.
pub const MESSAGE_FOR_FN: u16 = 1068;
/// Сторно товара (reversed item, ФФД 1.0).
pub const REVERSED_ITEM: u16 = 1071;
/// ФПД, sign of the document.
pub const FISCAL_SIGN: u16 = 1077;
/// ФПО, sign of the operator.
pub const OPERATOR_SIGN: u16 = 1078;
/// Дополнительный реквизит пользователя.
pub const USER_DETAILS: u16 = 1084;
/// Код причины перерегистрации, one record per reason (ФФД 1.0, 1.05).
pub const REASON_CODE: u16 = 1101;
/// Скидка или наценка (ФФД 1.0).
pub const DISCOUNT: u16 = 1112;
/// Сумма НДС чека, one record per rate (in ФФД 1.0 another requisite).
pub const VAT_AMOUNT: u16 = 1119;
/// Сумма НДС inside [`VAT_AMOUNT`], kopecks (in ФФД 1.0 the code of a directory).
pub const VAT_SUM: u16 = 1120;
/// Код товара, group of typed codes (ФФД 1.2).
pub const PRODUCT_CODE_GROUP: u16 = 1163;
/// Коды причин изменения сведений о ККТ, a mask (ФФД 1.1, 1.2).
pub const REASON_MASK: u16 = 1205;
/// Сообщение оператора, bit register of FFD 1.1.
pub const OPERATOR_MESSAGE: u16 = 1206;
/// Номер версии ФФД.
pub const FFD_VERSION: u16 = 1209;
/// Ресурс ключей ФП.
pub const KEY_RESOURCE: u16 = 1213;
/// Сведения об оплате безналичными.
pub const CASHLESS_PAYMENT: u16 = 1235;
/// Отраслевой реквизит предмета расчета.
pub const ITEM_INDUSTRY_DETAILS: u16 = 1260;
/// Отраслевой реквизит чека.
pub const RECEIPT_INDUSTRY_DETAILS: u16 = 1261;
