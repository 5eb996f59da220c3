//! Names of the tags that code reads or writes by number; every other tag is known only to the tables of the
//! dictionary. One list, so that a tag has one name everywhere. Source: FFD order, tables of requisites.

/// Наименование документа: the title.
pub const TITLE: u16 = 1000;
/// Признак автоматического режима.
pub const AUTO_MODE: u16 = 1001;
/// Признак автономного режима.
pub const OFFLINE_MODE: u16 = 1002;
/// Телефон или электронный адрес покупателя.
pub const BUYER_CONTACT: u16 = 1008;
/// Адрес расчетов.
pub const ADDRESS: u16 = 1009;
/// Часовая зона (since 2025; in ФФД 1.0 another requisite).
pub const TIME_ZONE: u16 = 1011;
/// Дата, время: the till's wall clock; in document 7 real UTC.
pub const DATE_TIME: u16 = 1012;
/// Заводской номер ККТ.
pub const KKT_SERIAL: u16 = 1013;
/// ИНН оператора перевода.
pub const TRANSFER_OPERATOR_INN: u16 = 1016;
/// ИНН ОФД.
pub const OFD_INN: u16 = 1017;
/// ИНН пользователя.
pub const USER_INN: u16 = 1018;
/// Сумма расчета, kopecks.
pub const TOTAL_SUM: u16 = 1020;
/// Код ответа ОФД.
pub const OPERATOR_CODE: u16 = 1022;
/// Количество предмета расчета.
pub const QUANTITY: u16 = 1023;
/// Наименование предмета расчета.
pub const ITEM_NAME: u16 = 1030;
/// Сумма по чеку наличными, kopecks.
pub const CASH: u16 = 1031;
/// Номер автомата.
pub const AUTOMAT_NUMBER: u16 = 1036;
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
/// Стоимость предмета расчета с учетом скидок и наценок, kopecks.
pub const ITEM_COST: u16 = 1043;
/// Наименование ОФД.
pub const OFD_NAME: u16 = 1046;
/// Признак расчета.
pub const OPERATION_TYPE: u16 = 1054;
/// Применяемая система налогообложения.
pub const APPLIED_TAXATION: u16 = 1055;
/// Признак шифрования.
pub const ENCRYPTION_SIGN: u16 = 1056;
/// Признак агента, a mask.
pub const AGENT: u16 = 1057;
/// Предмет расчета (item of a receipt).
pub const ITEM: u16 = 1059;
/// Системы налогообложения of the registration, a mask.
pub const TAXATION: u16 = 1062;
/// Сообщение оператора для ФН.
pub const MESSAGE_FOR_FN: u16 = 1068;
/// Сторно товара (reversed item, ФФД 1.0).
pub const REVERSED_ITEM: u16 = 1071;
/// ФПД, sign of the document.
pub const FISCAL_SIGN: u16 = 1077;
/// ФПО, sign of the operator.
pub const OPERATOR_SIGN: u16 = 1078;
/// Цена за единицу предмета расчета, kopecks.
pub const PRICE: u16 = 1079;
/// Сумма по чеку безналичными, kopecks.
pub const CASHLESS: u16 = 1081;
/// Дополнительный реквизит пользователя.
pub const USER_DETAILS: u16 = 1084;
/// Количество непереданных ФД.
pub const UNSENT_COUNT: u16 = 1097;
/// Дата первого из непереданных ФД.
pub const UNSENT_SINCE: u16 = 1098;
/// Код причины перерегистрации, one record per reason (ФФД 1.0, 1.05).
pub const REASON_CODE: u16 = 1101;
/// Сумма НДС чека по ставке 20%, kopecks.
pub const VAT_20: u16 = 1102;
/// Сумма НДС чека по ставке 10%, kopecks.
pub const VAT_10: u16 = 1103;
/// Сумма расчета по чеку с НДС по ставке 0%, kopecks: turnover.
pub const TURNOVER_0: u16 = 1104;
/// Сумма расчета по чеку без НДС, kopecks: turnover.
pub const TURNOVER_WITHOUT_VAT: u16 = 1105;
/// Сумма НДС чека по расчетной ставке 20/120, kopecks.
pub const VAT_20_120: u16 = 1106;
/// Сумма НДС чека по расчетной ставке 10/110, kopecks.
pub const VAT_10_110: u16 = 1107;
/// Количество ФД за смену.
pub const SHIFT_DOCUMENTS: u16 = 1111;
/// Скидка или наценка (ФФД 1.0).
pub const DISCOUNT: u16 = 1112;
/// Суммы НДС чека, one group for all further rates (in ФФД 1.0 another requisite).
pub const VAT_AMOUNTS: u16 = 1115;
/// Номер первого непереданного документа.
pub const FIRST_UNSENT: u16 = 1116;
/// Количество кассовых чеков за смену.
pub const SHIFT_RECEIPTS: u16 = 1118;
/// Сумма НДС чека, one record per rate (in ФФД 1.0 another requisite).
pub const VAT_AMOUNT: u16 = 1119;
/// Сумма НДС inside [`VAT_AMOUNT`], kopecks (in ФФД 1.0 the code of a directory).
pub const VAT_SUM: u16 = 1120;
/// Признак расчета в «Интернет» (since 2025; in ФФД 1.0 another requisite).
pub const INTERNET_PAYMENT: u16 = 1125;
/// Счетчики операций «приход».
pub const SALE_COUNTERS: u16 = 1129;
/// Счетчики операций «возврат прихода».
pub const SALE_REFUND_COUNTERS: u16 = 1130;
/// Счетчики операций «расход».
pub const PAYOUT_COUNTERS: u16 = 1131;
/// Счетчики операций «возврат расхода».
pub const PAYOUT_REFUND_COUNTERS: u16 = 1132;
/// Счетчики операций по чекам коррекции.
pub const CORRECTION_COUNTERS: u16 = 1133;
/// Количество чеков и чеков коррекции, of all operations.
pub const ALL_COUNT: u16 = 1134;
/// Количество чеков of one operation.
pub const BLOCK_COUNT: u16 = 1135;
/// Итоговая сумма наличными of one operation, kopecks.
pub const BLOCK_CASH: u16 = 1136;
/// Итоговая сумма безналичными of one operation, kopecks.
pub const BLOCK_CASHLESS: u16 = 1138;
/// Количество чеков коррекции.
pub const CORRECTION_COUNT: u16 = 1144;
/// Счетчики коррекций «приход».
pub const CORRECTION_SALE_COUNTERS: u16 = 1145;
/// Счетчики коррекций «расход».
pub const CORRECTION_PAYOUT_COUNTERS: u16 = 1146;
/// Счетчики итогов ФН.
pub const FN_TOTALS: u16 = 1157;
/// Счетчики итогов непереданных ФД.
pub const UNSENT_TOTALS: u16 = 1158;
/// Код товара, bytes (ФФД 1.05, 1.1).
pub const PRODUCT_CODE: u16 = 1162;
/// Код товара, group of typed codes (ФФД 1.2).
pub const PRODUCT_CODE_GROUP: u16 = 1163;
/// Тип коррекции.
pub const CORRECTION_TYPE: u16 = 1173;
/// Основание для коррекции.
pub const CORRECTION_BASE: u16 = 1174;
/// Дата совершения корректируемого расчета.
pub const CORRECTION_DATE: u16 = 1178;
/// Номер предписания налогового органа.
pub const ORDER_NUMBER: u16 = 1179;
/// Место расчетов.
pub const PLACE: u16 = 1187;
/// Счетчики итогов смены.
pub const SHIFT_TOTALS: u16 = 1194;
/// Ставка НДС.
pub const VAT_RATE: u16 = 1199;
/// Сумма НДС за предмет расчета, kopecks.
pub const ITEM_VAT: u16 = 1200;
/// Общая итоговая сумма of one operation, kopecks.
pub const BLOCK_TOTAL: u16 = 1201;
/// ИНН кассира.
pub const CASHIER_INN: u16 = 1203;
/// Коды причин изменения сведений о ККТ, a mask (ФФД 1.1, 1.2).
pub const REASON_MASK: u16 = 1205;
/// Сообщение оператора, bit register of FFD 1.1.
pub const OPERATOR_MESSAGE: u16 = 1206;
/// Признак торговли подакцизными товарами.
pub const EXCISE_SIGN: u16 = 1207;
/// Номер версии ФФД.
pub const FFD_VERSION: u16 = 1209;
/// Признак предмета расчета.
pub const ITEM_TYPE: u16 = 1212;
/// Ресурс ключей ФП.
pub const KEY_RESOURCE: u16 = 1213;
/// Признак способа расчета.
pub const PAYMENT_METHOD: u16 = 1214;
/// Сумма по чеку предоплатой, kopecks.
pub const PREPAID: u16 = 1215;
/// Сумма по чеку постоплатой, kopecks.
pub const CREDIT: u16 = 1216;
/// Сумма по чеку встречным предоставлением, kopecks.
pub const PROVISION: u16 = 1217;
/// Итоговая сумма предоплатами of one operation, kopecks.
pub const BLOCK_PREPAID: u16 = 1218;
/// Итоговая сумма постоплатами of one operation, kopecks.
pub const BLOCK_CREDIT: u16 = 1219;
/// Итоговая сумма встречными предоставлениями of one operation, kopecks.
pub const BLOCK_PROVISION: u16 = 1220;
/// Признак агента по предмету расчета, a mask.
pub const ITEM_AGENT: u16 = 1222;
/// Данные агента.
pub const AGENT_DATA: u16 = 1223;
/// ИНН поставщика.
pub const SUPPLIER_INN: u16 = 1226;
/// ИНН покупателя (клиента).
pub const BUYER_INN: u16 = 1228;
/// Счетчики коррекций «возврат прихода».
pub const CORRECTION_SALE_REFUND_COUNTERS: u16 = 1232;
/// Счетчики коррекций «возврат расхода».
pub const CORRECTION_PAYOUT_REFUND_COUNTERS: u16 = 1233;
/// Сведения об оплате безналичными.
pub const CASHLESS_PAYMENT: u16 = 1235;
/// Сведения о покупателе (клиенте).
pub const BUYER: u16 = 1256;
/// Отраслевой реквизит предмета расчета.
pub const ITEM_INDUSTRY_DETAILS: u16 = 1260;
/// Отраслевой реквизит чека.
pub const RECEIPT_INDUSTRY_DETAILS: u16 = 1261;
/// Признаки условий применения ККТ, a mask (ФФД 1.2).
pub const USAGE: u16 = 1290;
/// Данные о маркированном товаре, of a notification.
pub const MARKED_GOODS: u16 = 2007;
/// Номер ФД кассового чека, of a notification.
pub const RECEIPT_FD: u16 = 2040;
/// Мера количества предмета расчета.
pub const MEASURE: u16 = 2108;
