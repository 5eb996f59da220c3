-- Wireshark dissector of the protocol between cash registers (ККТ) and a fiscal data operator (ОФД).
--
--   wireshark -X lua_script:kkt.lua monday.pcapng
--   tshark -X lua_script:kkt.lua -r monday.pcapng -Y 'kkt.container.form == 3 && kkt.t1020 > 100000'
--
-- or copy it into the folder "Personal Lua Plugins" (Help, About, Folders). The port is a preference (kkt.port,
-- default 7777); on other ports conversations are recognised by their first bytes.
--
-- Shown: the session message (30 bytes, both services), the container (32 bytes, document, sign) with both check
-- codes verified, and the records of an open document, each with its number, Russian name and value. Filters:
-- kkt.fn, kkt.container.fd, kkt.tlv.tag, and one field for each tag (kkt.t1020; kopecks, text without its padding
-- removed, times as the till showed them). An encrypted document shows as such: its header stays readable, the rest
-- needs the operator's keys. Signs are shown and never verified, for the same reason.
--
-- Works with the Lua 5.2 of Wireshark 4.0 and with later ones.

local HEADER, CONTAINER_HEADER, TRAILER = 30, 32, 10
-- A group inside more groups than this is shown as bytes.
local MAX_DEPTH = 8
local OFD, OISM = "\x2a\x08\x41\x0a", "\xdd\x80\xca\xa1"

local kkt = Proto("kkt", "Register to fiscal data operator")
kkt.prefs.port = Pref.uint("TCP port", 7777, "Port of the operator")

---------------------------------------------------------------------------------------------------- dictionary
-- tag -> its meanings: type, Russian name, and where there are several, the FFD versions (1.0 = 1, 1.05 = 2,
-- 1.1 = 4, 1.2 = 8, added up) and the forms or groups it stands in.
-- BEGIN TAGS: made from the dictionary of tags; the test of this file says how to make it anew.
local TAGS = {
    [1] = { { "group", "Отчет о регистрации" } },
    [2] = { { "group", "Отчет об открытии смены" } },
    [3] = { { "group", "Кассовый чек" } },
    [4] = { { "group", "Бланк строгой отчетности" } },
    [5] = { { "group", "Отчет о закрытии смены" } },
    [6] = { { "group", "Отчет о закрытии фискального накопителя" } },
    [7] = { { "group", "Подтверждение оператора" } },
    [11] = { { "group", "Отчет об изменении параметров регистрации" } },
    [21] = { { "group", "Отчет о текущем состоянии расчетов" } },
    [31] = { { "group", "Кассовый чек коррекции" } },
    [41] = { { "group", "Бланк строгой отчетности коррекции" } },
    [81] = { { "group", "Запрос о коде маркировки" } },
    [82] = { { "group", "Уведомление о реализации маркированного товара" } },
    [83] = { { "group", "Ответ на запрос" } },
    [84] = { { "group", "Квитанция на уведомление" } },
    [1000] = { { "text", "Наименование документа" } },
    [1001] = { { "byte", "Признак автоматического режима" } },
    [1002] = { { "byte", "Признак автономного режима" } },
    [1003] = { { "text", "Адрес банковского агента" } },
    [1004] = { { "text", "Адрес банковского субагента" } },
    [1005] = { { "text", "Адрес оператора перевода" } },
    [1006] = { { "text", "Адрес платежного агента" } },
    [1007] = { { "text", "Адрес платежного субагента" } },
    [1008] = { { "text", "Телефон или электронный адрес покупателя" } },
    [1009] = { { "text", "Адрес расчетов" } },
    [1010] = { { "vln", "Размер вознаграждения банковского агента (субагента)" } },
    [1011] = { { "vln", "Размер вознаграждения платежного агента (субагента)", 1, { 3, 4 } }, { "byte", "Часовая зона", 8, { 3, 4, 31, 41, 81, 82 } } },
    [1012] = { { "time", "Дата, время" } },
    [1013] = { { "text", "Заводской номер ККТ" } },
    [1014] = { { "text", "Значение типа строка" } },
    [1015] = { { "u32", "Значение типа целое" } },
    [1016] = { { "text", "ИНН оператора перевода" } },
    [1017] = { { "text", "ИНН ОФД" } },
    [1018] = { { "text", "ИНН пользователя" } },
    [1019] = { { "text", "Информационное сообщение" } },
    [1020] = { { "vln", "Сумма расчета, указанного в чеке (БСО)" } },
    [1021] = { { "text", "Кассир" } },
    [1022] = { { "byte", "Код ответа ОФД" } },
    [1023] = { { "fvln", "Количество предмета расчета" } },
    [1024] = { { "text", "Наименование банковского агента" } },
    [1025] = { { "text", "Наименование банковского субагента" } },
    [1026] = { { "text", "Наименование оператора перевода" } },
    [1027] = { { "text", "Наименование платежного агента" } },
    [1028] = { { "text", "Наименование платежного субагента" } },
    [1029] = { { "text", "Наименование реквизита" } },
    [1030] = { { "text", "Наименование предмета расчета" } },
    [1031] = { { "vln", "Сумма по чеку (БСО) наличными" } },
    [1032] = { { "group", "Налог" } },
    [1033] = { { "group", "Налоги" } },
    [1034] = { { "fvln", "Наценка (ставка)" } },
    [1035] = { { "vln", "Наценка (сумма)" } },
    [1036] = { { "text", "Номер автомата" } },
    [1037] = { { "text", "Регистрационный номер ККТ" } },
    [1038] = { { "u32", "Номер смены" } },
    [1039] = { { "text", "Зарезервирован" } },
    [1040] = { { "u32", "Номер ФД" } },
    [1041] = { { "text", "Номер ФН" } },
    [1042] = { { "u32", "Номер чека за смену" } },
    [1043] = { { "vln", "Стоимость предмета расчета с учетом скидок и наценок" } },
    [1044] = { { "text", "Операция банковского платежного агента" } },
    [1045] = { { "text", "Операция банковского платежного субагента" } },
    [1046] = { { "text", "Наименование ОФД" } },
    [1047] = { { "group", "Параметр настройки (содержит теги 1029/1014/1015)" } },
    [1048] = { { "text", "Наименование пользователя" } },
    [1049] = { { "text", "Почтовый индекс" } },
    [1050] = { { "byte", "Признак исчерпания ресурса ФН" } },
    [1051] = { { "byte", "Признак необходимости срочной замены ФН" } },
    [1052] = { { "byte", "Признак заполнения памяти ФН" } },
    [1053] = { { "byte", "Признак превышения времени ожидания ответа ОФД" } },
    [1054] = { { "byte", "Признак расчета" } },
    [1055] = { { "bits", "Применяемая система налогообложения", 15, { 3, 4, 31, 41, 82 } }, { "bits", "Применяемая система налогообложения", 7, { 3, 4, 31, 41 } } },
    [1056] = { { "byte", "Признак шифрования" } },
    [1057] = { { "bits", "Признак агента" } },
    [1058] = { { "byte", "Признак банковского агента" } },
    [1059] = { { "group", "Предмет расчета" } },
    [1060] = { { "text", "Адрес сайта ФНС" } },
    [1061] = { { "text", "Адрес сайта ОФД" } },
    [1062] = { { "bits", "Системы налогообложения" } },
    [1063] = { { "fvln", "Скидка (ставка)" } },
    [1064] = { { "vln", "Скидка (сумма)" } },
    [1065] = { { "text", "Сокращенное наименование налога" } },
    [1066] = { { "text", "Сообщение" } },
    [1067] = { { "group", "Сообщение оператора для ККТ (содержит теги 1019/1047)" } },
    [1068] = { { "group", "Сообщение оператора для ФН (содержит теги 1022/1047)" } },
    [1069] = { { "group", "Сообщение оператору" } },
    [1070] = { { "fvln", "Ставка налога" } },
    [1071] = { { "group", "Сторно товара (реквизиты) (содержит реквизиты товара в обычном формате)" } },
    [1072] = { { "vln", "Сумма налога" } },
    [1073] = { { "text", "Телефон платежного агента" } },
    [1074] = { { "text", "Телефон оператора по приему платежей" } },
    [1075] = { { "text", "Телефон оператора перевода" } },
    [1076] = { { "text", "Тип сообщения" } },
    [1077] = { { "bytes", "ФПД" } },
    [1078] = { { "bytes", "ФПО" } },
    [1079] = { { "vln", "Цена за единицу предмета расчета с учетом скидок и наценок" } },
    [1080] = { { "text", "Штриховой код EAN13" } },
    [1081] = { { "vln", "Сумма по чеку (БСО) безналичными" } },
    [1082] = { { "text", "Телефон банковского субагента", 1, { 3, 4 } }, { "vln", "Сумма оплаты безналичными", 14, { 1235 } } },
    [1083] = { { "text", "Телефон платежного субагента" } },
    [1084] = { { "group", "Дополнительный реквизит пользователя" } },
    [1085] = { { "text", "Наименование дополнительного реквизита пользователя" } },
    [1086] = { { "text", "Значение дополнительного реквизита пользователя" } },
    [1087] = { { "vln", "Итог смены" } },
    [1088] = { { "vln", "Приход наличными" } },
    [1089] = { { "vln", "Приход электронными" } },
    [1090] = { { "vln", "Возврат прихода наличными" } },
    [1091] = { { "vln", "Возврат прихода электронными" } },
    [1092] = { { "vln", "Расход наличными" } },
    [1093] = { { "vln", "Расход электронными" } },
    [1094] = { { "vln", "Возврат расхода наличными" } },
    [1095] = { { "vln", "Возврат расхода электронными" } },
    [1096] = { { "vln", "Номер корректируемого фискального документа" } },
    [1097] = { { "u32", "Количество непереданных ФД" } },
    [1098] = { { "time", "Дата первого из непереданных ФД" } },
    [1099] = { { "vln", "Сводный итог" } },
    [1100] = { { "text", "Номер предписания" } },
    [1101] = { { "byte", "Код причины перерегистрации" } },
    [1102] = { { "vln", "Сумма НДС чека по ставке 20%" } },
    [1103] = { { "vln", "Сумма НДС чека по ставке 10%" } },
    [1104] = { { "vln", "Сумма расчета по чеку с НДС по ставке 0%" } },
    [1105] = { { "vln", "Сумма расчета по чеку без НДС" } },
    [1106] = { { "vln", "Сумма НДС чека по расч. ставке 20/120" } },
    [1107] = { { "vln", "Сумма НДС чека по расч. ставке 10/110" } },
    [1108] = { { "byte", "Признак ККТ для расчетов только в Интернет" } },
    [1109] = { { "byte", "Признак расчетов за услуги" } },
    [1110] = { { "byte", "Признак АС БСО" } },
    [1111] = { { "u32", "Общее количество ФД за смену" } },
    [1112] = { { "group", "Скидка/наценка (содержит объекты с тегами 1113/1114/1063/1034/1064/1035)" } },
    [1113] = { { "text", "Наименование скидки" } },
    [1114] = { { "text", "Наименование наценки" } },
    [1115] = { { "text", "Адрес сайта для проверки ФП", 1, { 3, 4 } }, { "group", "Суммы НДС чека", 14, { 3, 4, 31, 41 } } },
    [1116] = { { "u32", "Номер первого непереданного документа" } },
    [1117] = { { "text", "Адрес электронной почты отправителя чека" } },
    [1118] = { { "u32", "Количество кассовых чеков (БСО) за смену" } },
    [1119] = { { "text", "Телефон оператора по приему платежей", 1, { 3, 4 } }, { "group", "Сумма НДС чека", 14, { 1115 } } },
    [1120] = { { "vln", "Код справочника", 1, {  } }, { "vln", "Сумма НДС", 14, { 1119 } } },
    [1121] = { { "vln", "Код классификации товара" } },
    [1122] = { { "text", "Сведения о классификации товара" } },
    [1123] = { { "vln", "Код классификации товара" } },
    [1124] = { { "text", "Сведения о классификации товара" } },
    [1125] = { { "text", "Наименование ОФД", 1, {  } }, { "byte", "Признак расчета в «Интернет»", 14, { 3, 4, 31, 41, 82 } } },
    [1126] = { { "byte", "Признак проведения лотереи" } },
    [1127] = { { "u32", "Кол-во непереданных документов по наличным расчетам" } },
    [1129] = { { "group", "Счетчики операций «приход»" } },
    [1130] = { { "group", "Счетчики операций «возврат прихода»" } },
    [1131] = { { "group", "Счетчики операций «расход»" } },
    [1132] = { { "group", "Счетчики операций «возврат расхода»" } },
    [1133] = { { "group", "Счетчики операций по чекам коррекции (БСО коррекции)" } },
    [1134] = { { "u32", "Количество чеков (БСО) и чеков коррекции (БСО коррекции) со всеми признаками расчетов" } },
    [1135] = { { "u32", "Количество чеков (БСО) по признаку расчетов" } },
    [1136] = { { "vln", "Итоговая сумма в чеках (БСО) наличными денежными средствами" } },
    [1138] = { { "vln", "Итоговая сумма в чеках (БСО) безналичными" } },
    [1139] = { { "vln", "Сумма НДС по ставке 20%" } },
    [1140] = { { "vln", "Сумма НДС по ставке 10%" } },
    [1141] = { { "vln", "Сумма НДС по расч. ставке 20/120" } },
    [1142] = { { "vln", "Сумма НДС по расч. ставке 10/110" } },
    [1143] = { { "vln", "Сумма расчетов с НДС по ставке 0%" } },
    [1144] = { { "u32", "Количество чеков коррекции (БСО коррекции) или непереданных чеков (БСО) и чеков коррекции (БСО коррекции)" } },
    [1145] = { { "group", "Счетчики по признаку «приход»" } },
    [1146] = { { "group", "Счетчики по признаку «расход»" } },
    [1147] = { { "u32", "Количество операций коррекции" } },
    [1148] = { { "u32", "Количество самостоятельных корректировок" } },
    [1149] = { { "u32", "Количество корректировок по предписанию" } },
    [1150] = { { "vln", "Сумма коррекций" } },
    [1151] = { { "vln", "Сумма коррекций НДС по ставке 18%" } },
    [1152] = { { "vln", "Сумма коррекций НДС по ставке 10%" } },
    [1153] = { { "vln", "Сумма коррекций НДС по расч. ставке 18/118" } },
    [1154] = { { "vln", "Сумма коррекций НДС по расч. ставке 10/110" } },
    [1155] = { { "vln", "Сумма коррекций с НДС по ставке 0%" } },
    [1157] = { { "group", "Счетчики итогов ФН" } },
    [1158] = { { "group", "Счетчики итогов непереданных ФД" } },
    [1162] = { { "bytes", "Код товара" } },
    [1163] = { { "group", "Код товара" } },
    [1171] = { { "text", "Телефон поставщика" } },
    [1173] = { { "byte", "Тип коррекции" } },
    [1174] = { { "group", "Основание для коррекции" } },
    [1177] = { { "text", "Наименование основания для коррекции" } },
    [1178] = { { "time", "Дата совершения корректируемого расчета" } },
    [1179] = { { "text", "Номер предписания налогового органа" } },
    [1183] = { { "vln", "Сумма расчетов без НДС" } },
    [1184] = { { "vln", "Сумма коррекций без НДС" } },
    [1187] = { { "text", "Место расчетов" } },
    [1188] = { { "text", "Версия ККТ" } },
    [1189] = { { "byte", "Версия ФФД ККТ" } },
    [1190] = { { "byte", "Версия ФФД ФН" } },
    [1191] = { { "text", "Дополнительный реквизит предмета расчета" } },
    [1192] = { { "text", "Дополнительный реквизит чека (БСО)" } },
    [1193] = { { "byte", "Признак проведения азартных игр" } },
    [1194] = { { "group", "Счетчики итогов смены" } },
    [1195] = { { "text", "Адрес электронной почты отправителя чека" } },
    [1196] = { { "text", "QR-код" } },
    [1197] = { { "text", "Единица измерения предмета расчета" } },
    [1198] = { { "vln", "Размер НДС за единицу предмета расчета" } },
    [1199] = { { "byte", "Ставка НДС", 14, { 1059, 2007 } }, { "byte", "Ставка НДС", 14, { 1119 } } },
    [1200] = { { "vln", "Сумма НДС за предмет расчета" } },
    [1201] = { { "vln", "Общая итоговая сумма в чеках (БСО)" } },
    [1203] = { { "text", "ИНН кассира" } },
    [1205] = { { "bits", "Коды причин изменения сведений о ККТ" } },
    [1206] = { { "bits", "Сообщение оператора" } },
    [1207] = { { "byte", "Признак торговли подакцизными товарами" } },
    [1208] = { { "text", "Сайт для получения чека" } },
    [1209] = { { "byte", "Номер версии ФФД" } },
    [1210] = { { "byte", "Признаки режимов работы ККТ" } },
    [1212] = { { "byte", "Признак предмета расчета" } },
    [1213] = { { "u16", "Ресурс ключей ФП", 14, { 1, 5, 11 } }, { "u16", "Ресурс ключей ФП", 8, { 21 } } },
    [1214] = { { "byte", "Признак способа расчета" } },
    [1215] = { { "vln", "Сумма по чеку (БСО) предоплатой (зачетом аванса и (или) предыдущих платежей)" } },
    [1216] = { { "vln", "Сумма по чеку (БСО) постоплатой (в кредит)" } },
    [1217] = { { "vln", "Сумма по чеку (БСО) встречным предоставлением" } },
    [1218] = { { "vln", "Итоговая сумма в чеках (БСО) предоплатами (авансами)" } },
    [1219] = { { "vln", "Итоговая сумма в чеках (БСО) постоплатами (кредитами)" } },
    [1220] = { { "vln", "Итоговая сумма в чеках (БСО) встречными предоставлениями" } },
    [1221] = { { "byte", "Признак установки принтера в автомате" } },
    [1222] = { { "bits", "Признак агента по предмету расчета" } },
    [1223] = { { "group", "Данные агента" } },
    [1224] = { { "group", "Данные поставщика" } },
    [1225] = { { "text", "Наименование поставщика" } },
    [1226] = { { "text", "ИНН поставщика" } },
    [1227] = { { "text", "Покупатель (клиент)" } },
    [1228] = { { "text", "ИНН покупателя (клиента)" } },
    [1229] = { { "vln", "Акциз" } },
    [1230] = { { "text", "Код страны происхождения товара" } },
    [1231] = { { "text", "Номер декларации на товар" } },
    [1232] = { { "group", "Счетчики по признаку «возврат прихода»" } },
    [1233] = { { "group", "Счетчики по признаку «возврат расхода»" } },
    [1234] = { { "group", "Сведения обо всех оплатах по чеку безналичными" } },
    [1235] = { { "group", "Сведения об оплате безналичными" } },
    [1236] = { { "byte", "Признак способа оплаты безналичными" } },
    [1237] = { { "text", "Идентификаторы безналичной оплаты" } },
    [1238] = { { "text", "Дополнительные сведения о безналичной оплате" } },
    [1243] = { { "text", "Дата рождения покупателя (клиента)" } },
    [1244] = { { "text", "Гражданство" } },
    [1245] = { { "text", "Код вида документа, удостоверяющего личность" } },
    [1246] = { { "text", "Данные документа, удостоверяющего личность" } },
    [1254] = { { "text", "Адрес покупателя (клиента)" } },
    [1256] = { { "group", "Сведения о покупателе (клиенте)" } },
    [1257] = { { "byte", "Признак осуществления ломбардной деятельности" } },
    [1258] = { { "byte", "Признак осуществления страховой деятельности" } },
    [1260] = { { "group", "Отраслевой реквизит предмета расчета" } },
    [1261] = { { "group", "Отраслевой реквизит чека" } },
    [1262] = { { "text", "Идентификатор ФОИВ" } },
    [1263] = { { "text", "Дата документа основания" } },
    [1264] = { { "text", "Номер документа основания" } },
    [1265] = { { "text", "Значение отраслевого реквизита" } },
    [1270] = { { "group", "Операционный реквизит чека" } },
    [1271] = { { "byte", "Идентификатор операции" } },
    [1272] = { { "text", "Данные операции" } },
    [1273] = { { "time", "Дата, время операции" } },
    [1274] = { { "text", "Дополнительный реквизит ОР" } },
    [1275] = { { "bytes", "Дополнительные данные ОР" } },
    [1276] = { { "text", "Дополнительный реквизит ООС" } },
    [1277] = { { "bytes", "Дополнительные данные ООС" } },
    [1278] = { { "text", "Дополнительный реквизит ОЗС" } },
    [1279] = { { "bytes", "Дополнительные данные ОЗС" } },
    [1280] = { { "text", "Дополнительный реквизит ОТР" } },
    [1281] = { { "bytes", "Дополнительные данные ОТР" } },
    [1282] = { { "text", "Дополнительный реквизит ОЗФН" } },
    [1283] = { { "bytes", "Дополнительные данные ОЗФН" } },
    [1290] = { { "bits", "Признаки условий применения ККТ" } },
    [1291] = { { "group", "Дробное количество маркированного товара" } },
    [1292] = { { "text", "Дробная часть" } },
    [1293] = { { "vln", "Числитель" } },
    [1294] = { { "vln", "Знаменатель" } },
    [1300] = { { "text", "КТ Н" } },
    [1301] = { { "text", "КТ EAN-8" } },
    [1302] = { { "text", "КТ EAN-13" } },
    [1303] = { { "text", "КТ ITF-14" } },
    [1304] = { { "text", "КТ GS1.0" } },
    [1305] = { { "text", "КТ GS1.М" } },
    [1306] = { { "text", "КТ КМК" } },
    [1307] = { { "text", "КТ МИ" } },
    [1308] = { { "text", "КТ ЕГАИС-2.0" } },
    [1309] = { { "text", "КТ ЕГАИС-3.0" } },
    [1320] = { { "text", "КТ Ф.1" } },
    [1321] = { { "text", "КТ Ф.2" } },
    [1322] = { { "text", "КТ Ф.3" } },
    [1323] = { { "text", "КТ Ф.4" } },
    [1324] = { { "text", "КТ Ф.5" } },
    [1325] = { { "text", "КТ Ф.6" } },
    [2000] = { { "text", "Код маркировки" } },
    [2001] = { { "u32", "Номер запроса" } },
    [2002] = { { "u32", "Номер уведомления" } },
    [2003] = { { "byte", "Планируемый статус товара" } },
    [2004] = { { "bits", "Результат проверки КМ" } },
    [2005] = { { "bits", "Результаты обработки запроса" } },
    [2006] = { { "byte", "Результаты обработки уведомления" } },
    [2007] = { { "group", "Данные о маркированном товаре" } },
    [2040] = { { "u32", "Номер ФД кассового чека (чека коррекции)" } },
    [2100] = { { "byte", "Тип кода маркировки" } },
    [2101] = { { "text", "Идентификатор товара" } },
    [2102] = { { "byte", "Режим обработки кода маркировки" } },
    [2103] = { { "byte", "Признак торговли маркированными товарами" } },
    [2104] = { { "u32", "Количество непереданных уведомлений" } },
    [2105] = { { "byte", "Коды обработки запроса" } },
    [2106] = { { "bits", "Результат проверки сведений о товаре" } },
    [2107] = { { "byte", "Результаты проверки маркированных товаров" } },
    [2108] = { { "byte", "Мера количества предмета расчета" } },
    [2109] = { { "byte", "Ответ ОИСМ о статусе товара" } },
    [2110] = { { "byte", "Присвоенный статус товара" } },
    [2111] = { { "byte", "Коды обработки уведомления" } },
    [2112] = { { "bits", "Признак некорректных кодов маркировки" } },
    [2113] = { { "bits", "Признак некорректных запросов и уведомлений" } },
    [2114] = { { "time", "Дата и время запроса" } },
    [2115] = { { "text", "Контрольный код КМ" } },
    [2116] = { { "bits", "Вид операции" } },
    [65001] = { { "group", "ФДн в автономном режиме (1.0/1.05)" } },
    [65002] = { { "group", "ФДн и подтверждение (1.0/1.05)" } },
    [65011] = { { "group", "ФДн в автономном режиме (1.1)" } },
    [65012] = { { "group", "ФДн и подтверждение (1.1)" } },
}
-- END TAGS

-- Tag 1209 in the bits of the table above; without it a document is FFD 1.0.
local VERSIONS = { [1] = 1, [2] = 2, [3] = 4, [4] = 8 }

---------------------------------------------------------------------------------------------------- arithmetic
-- Lua 5.2 has a library for this, later ones have operators, which 5.2 would not even parse.
local bits = bit32 or bit
local bxor = bits and bits.bxor or load("return function(a, b) return a ~ b end")()

local CRC_TABLE = {}
for byte = 0, 255 do
    local value = byte * 256
    for _ = 1, 8 do
        value = value < 0x8000 and value * 2 or bxor((value * 2) % 0x10000, 0x1021)
    end
    CRC_TABLE[byte] = value
end

-- CRC-16/CCITT-FALSE over strings.
local function crc(...)
    local value = 0xffff
    for _, text in ipairs({ ... }) do
        for index = 1, #text do
            local high = math.floor(value / 256)
            value = bxor((value % 256) * 256, CRC_TABLE[bxor(high, text:byte(index))])
        end
    end
    return value
end

-- Code page 866 from 0x80 on, a character each.
local HIGH_HALF = "АБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯабвгдежзийклмноп░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀"
    .. "рстуфхцчшщъыьэюяЁёЄєЇїЎў°∙·√№¤■\xc2\xa0"
local CP866 = {}
do
    local byte = 0x80
    for character in HIGH_HALF:gmatch("[^\x80-\xbf][\x80-\xbf]*") do
        CP866[string.char(byte)] = character
        byte = byte + 1
    end
end

local function text_of(raw)
    return (raw:gsub("[\x80-\xff]", CP866):gsub("%z", "\\0"))
end

---------------------------------------------------------------------------------------------------- fields
local STATUS = { [0] = "bad", [1] = "good", [2] = "not used" }
local KINDS = { [0xa5] = "from the register's storage (ФН)", [0x5a] = "from the operator" }
local CODES = { [0] = "accepted", [11] = "content not recognised", [14] = "error of format and logic control (ФЛК)" }
local CRC_MODES = { [0] = "none", [1] = "header", [2] = "header and body", [3] = "forbidden" }
local ANSWERS = { [0] = "not expected", [1] = "expected", [2] = "forbidden", [3] = "forbidden" }

local f = {
    signature = ProtoField.bytes("kkt.signature", "Signature"),
    s_version = ProtoField.uint16("kkt.s_version", "S-protocol version", base.HEX),
    p_version = ProtoField.uint16("kkt.p_version", "P-protocol version", base.HEX),
    fn = ProtoField.string("kkt.fn", "ФН number"),
    body_len = ProtoField.uint16("kkt.body_len", "Body size"),
    flags = ProtoField.uint16("kkt.flags", "Flags", base.HEX),
    flag_crc = ProtoField.uint16("kkt.flags.crc_mode", "Check code over", base.DEC, CRC_MODES, 0x0003),
    flag_container = ProtoField.bool("kkt.flags.container", "Container", 16, nil, 0x0004),
    flag_answer = ProtoField.uint16("kkt.flags.answer", "Answer", base.DEC, ANSWERS, 0x0030),
    flag_priority = ProtoField.uint16("kkt.flags.priority", "Priority", base.DEC, nil, 0x00c0),
    flag_reserved = ProtoField.uint16("kkt.flags.reserved", "Reserved", base.HEX, nil, 0xff08),
    crc = ProtoField.uint16("kkt.crc", "Check code", base.HEX),
    crc_status = ProtoField.uint8("kkt.crc.status", "Check code status", base.DEC, STATUS),
    probe = ProtoField.bool("kkt.probe", "Probe"),
    body = ProtoField.bytes("kkt.body", "Body"),

    container = ProtoField.none("kkt.container", "Container"),
    c_length = ProtoField.uint16("kkt.container.length", "Length"),
    c_crc = ProtoField.uint16("kkt.container.crc", "Checksum", base.HEX),
    c_crc_status = ProtoField.uint8("kkt.container.crc.status", "Checksum status", base.DEC, STATUS),
    c_kind = ProtoField.uint8("kkt.container.kind", "Type", base.HEX, KINDS),
    c_form = ProtoField.uint8("kkt.container.form", "Form"),
    c_version = ProtoField.uint8("kkt.container.version", "Format version"),
    c_service1 = ProtoField.bytes("kkt.container.service1", "Service data 1"),
    c_fn = ProtoField.string("kkt.container.fn", "ФН number"),
    c_fd = ProtoField.uint24("kkt.container.fd", "ФД number"),
    c_iv = ProtoField.bytes("kkt.container.iv", "Initialisation vector"),
    c_service2 = ProtoField.bytes("kkt.container.service2", "Service data 2"),
    c_open_len = ProtoField.uint16("kkt.container.open_len", "Length of the open document"),
    c_encrypted = ProtoField.bool("kkt.container.encrypted", "Encrypted"),
    c_ciphertext = ProtoField.bytes("kkt.container.ciphertext", "Encrypted document"),
    c_sign = ProtoField.bytes("kkt.container.sign", "Sign"),
    c_tail = ProtoField.bytes("kkt.container.tail", "End"),

    document = ProtoField.none("kkt.document", "Document"),
    d_form = ProtoField.uint16("kkt.document.form", "Form"),
    d_length = ProtoField.uint16("kkt.document.length", "Length of the records"),
    tag = ProtoField.uint16("kkt.tlv.tag", "Tag"),
    length = ProtoField.uint16("kkt.tlv.len", "Length"),
    unknown = ProtoField.bytes("kkt.tlv.unknown", "Unknown tag"),
    unreadable = ProtoField.bytes("kkt.tlv.unreadable", "Value of a wrong length"),
    rest = ProtoField.bytes("kkt.tlv.rest", "Bytes that are no records"),
}

local NUMBERS = { byte = true, u16 = true, u32 = true, bits = true, vln = true }

-- A field for each tag, and for each type where a number was given away twice: kkt.t1082.text, kkt.t1082.vln.
local tag_fields = {}
for tag, meanings in pairs(TAGS) do
    local kinds, count = {}, 0
    for _, meaning in ipairs(meanings) do
        if not kinds[meaning[1]] then
            kinds[meaning[1]] = meaning[2]
            count = count + 1
        end
    end
    for kind, name in pairs(kinds) do
        local filter = "kkt.t" .. tag .. (count > 1 and "." .. kind or "")
        local label = tag .. " " .. name
        local field
        if kind == "group" then
            field = ProtoField.none(filter, label)
        elseif kind == "bytes" then
            field = ProtoField.bytes(filter, label)
        elseif kind == "bits" then
            field = ProtoField.uint32(filter, label, base.HEX)
        elseif NUMBERS[kind] then
            field = ProtoField.uint64(filter, label, base.DEC, tag == 1022 and CODES or nil)
        else
            field = ProtoField.string(filter, label)
        end
        tag_fields[tag] = tag_fields[tag] or {}
        tag_fields[tag][kind] = field
    end
end

do
    local all = {}
    for _, field in pairs(f) do
        all[#all + 1] = field
    end
    for _, fields in pairs(tag_fields) do
        for _, field in pairs(fields) do
            all[#all + 1] = field
        end
    end
    kkt.fields = all
end

local e = {
    crc = ProtoExpert.new("kkt.expert.crc", "Wrong check code", expert.group.CHECKSUM, expert.severity.ERROR),
    malformed = ProtoExpert.new("kkt.expert.malformed", "Does not fit", expert.group.MALFORMED, expert.severity.ERROR),
    refused = ProtoExpert.new("kkt.expert.code", "Code other than 0", expert.group.RESPONSE_CODE, expert.severity.NOTE),
}
kkt.experts = { e.crc, e.malformed, e.refused }

---------------------------------------------------------------------------------------------------- records
-- Bits of `mask` that are set in `value`, both powers of two added up.
local function has(value, bit_value)
    return math.floor(value / bit_value) % 2 == 1
end

-- The meaning of a tag inside `parent` in a document of `version`: with several, the one for this place and version,
-- then one of this version that names no place, then one for this place, then one of this version.
local function meaning_of(tag, parent, version)
    local meanings = TAGS[tag]
    if not meanings or #meanings == 1 then
        return meanings and meanings[1]
    end
    local best, best_fitness
    for _, meaning in ipairs(meanings) do
        local in_version, in_place = has(meaning[3], version), false
        for _, place in ipairs(meaning[4]) do
            in_place = in_place or place == parent
        end
        local fitness = 0
        if in_version and in_place then
            fitness = 4
        elseif in_version and #meaning[4] == 0 then
            fitness = 3
        elseif in_place then
            fitness = 2
        elseif in_version then
            fitness = 1
        end
        if not best or fitness > best_fitness then
            best, best_fitness = meaning, fitness
        end
    end
    return best
end

-- Digits after the point, then the number, little-endian.
local function decimal_of(range)
    local scale, digits = range(0, 1):uint(), "0"
    if range:len() > 1 then
        digits = tostring(range(1):le_uint64())
    end
    if scale == 0 then
        return digits
    end
    digits = string.rep("0", scale + 1 - #digits) .. digits
    return digits:sub(1, #digits - scale) .. "." .. digits:sub(#digits - scale + 1)
end

-- The value of a record by its type; nothing when its length is not one of that type.
local function value_of(kind, tag, range, length)
    if kind == "byte" then
        if length > 1 then return nil end
        return length == 0 and UInt64(0) or UInt64(range:uint())
    elseif kind == "u16" then
        if length ~= 2 and not (length == 4 and tag == 1213) then return nil end
        return UInt64(range:le_uint())
    elseif kind == "u32" then
        if length ~= 4 then return nil end
        return UInt64(range:le_uint())
    elseif kind == "bits" then
        if length ~= 1 and length ~= 4 then return nil end
        return range:le_uint()
    elseif kind == "vln" then
        if length > 8 then return nil end
        return length == 0 and UInt64(0) or range:le_uint64()
    elseif kind == "fvln" then
        if length < 1 or length > 8 or range(0, 1):uint() > 19 then return nil end
        return decimal_of(range)
    elseif kind == "time" then
        if length ~= 4 then return nil end
        return os.date("!%Y-%m-%d %H:%M:%S", range:le_uint())
    elseif kind == "text" then
        return length == 0 and "" or text_of(range:raw())
    end
    return nil
end

local records

-- One record: `range` is its value, nothing when that is empty.
local function record(tree, whole, tag, range, place)
    local length = range and range:len() or 0
    local meaning = meaning_of(tag, place.parent, place.version)
    local item
    if not range and (not meaning or meaning[1] == "bytes" or meaning[1] == "group") then
        -- There is no field without bytes.
        item = tree:add(whole, tag .. " " .. (meaning and meaning[2] or "(unknown tag)") .. ": empty")
    elseif not meaning then
        item = tree:add(f.unknown, range)
        item:set_text(tag .. " (unknown tag): " .. tostring(range:bytes()))
    elseif meaning[1] == "group" and place.depth < MAX_DEPTH then
        item = tree:add(tag_fields[tag].group, whole)
    elseif meaning[1] == "bytes" then
        item = tree:add(tag_fields[tag].bytes, range)
    else
        local value = value_of(meaning[1], tag, range, length)
        if value then
            item = tree:add(tag_fields[tag][meaning[1]], whole, value)
            if tag == 1022 and value ~= UInt64(0) then
                item:add_proto_expert_info(e.refused)
            end
        else
            item = range and tree:add(f.unreadable, range) or tree:add(whole, "")
            item:set_text(tag .. " " .. meaning[2] .. ": not a value of its type")
            item:add_proto_expert_info(e.malformed)
        end
    end
    item:add_le(f.tag, whole(0, 2))
    item:add_le(f.length, whole(2, 2))
    if meaning and meaning[1] == "group" and place.depth < MAX_DEPTH and range then
        records(item, range, { parent = tag, version = place.version, depth = place.depth + 1 })
    end
end

-- A list of records; what does not fit one is shown as it is.
records = function(tree, range, place)
    local offset, total = 0, range:len()
    while offset < total do
        if total - offset < 4 then
            tree:add(f.rest, range(offset)):add_proto_expert_info(e.malformed)
            return
        end
        local tag, length = range(offset, 2):le_uint(), range(offset + 2, 2):le_uint()
        if offset + 4 + length > total then
            tree:add(f.rest, range(offset)):add_proto_expert_info(e.malformed)
            return
        end
        local value = length > 0 and range(offset + 4, length) or nil
        record(tree, range(offset, 4 + length), tag, value, place)
        offset = offset + 4 + length
    end
end

-- The version bit of a document by its tag 1209.
local function version_of(range)
    local offset, total = 0, range:len()
    while offset + 4 <= total do
        local tag, length = range(offset, 2):le_uint(), range(offset + 2, 2):le_uint()
        if tag == 1209 and length == 1 and offset + 5 <= total then
            return VERSIONS[range(offset + 4, 1):uint()] or 1
        end
        offset = offset + 4 + length
    end
    return 1
end

local function document(tree, range)
    local form, length = range(0, 2):le_uint(), range(2, 2):le_uint()
    local name = TAGS[form] and TAGS[form][1][2]
    local item = tree:add(f.document, range)
    item:append_text(name and (": " .. name) or "")
    item:add_le(f.d_form, range(0, 2)):append_text(name and (" (" .. name .. ")") or "")
    local stated = item:add_le(f.d_length, range(2, 2))
    if 4 + length ~= range:len() then
        stated:add_proto_expert_info(e.malformed)
    end
    if range:len() > 4 then
        local inner = range(4)
        records(item, inner, { parent = form, version = version_of(inner), depth = 1 })
    end
end

---------------------------------------------------------------------------------------------------- container
local function status(tree, field, range, value)
    tree:add(field, range, value):set_generated()
    if value == 0 then
        tree:add_proto_expert_info(e.crc)
    end
end

-- Packed decimal, filled up with F.
local function packed(range)
    return (tostring(range:bytes()):gsub("[Ff]+$", ""))
end

local SIGNS = { [0xa5] = "ФПС", [0x5a] = "ФПП" }

-- Shows a container and returns a line about it.
local function container(tree, range)
    local total = range:len()
    local item = tree:add(f.container, range)
    local length, kind, form = range(0, 2):le_uint(), range(4, 1):uint(), range(5, 1):uint()
    local stated = item:add_le(f.c_length, range(0, 2))
    if length ~= total then
        stated:add_proto_expert_info(e.malformed)
    end
    local right = crc(range(0, 2):raw(), range(4):raw()) == range(2, 2):le_uint()
    local code = item:add_le(f.c_crc, range(2, 2))
    status(code, f.c_crc_status, range(2, 2), right and 1 or 0)
    local name = TAGS[form] and TAGS[form][1][2] or "unknown form"
    item:add(f.c_kind, range(4, 1))
    item:add(f.c_form, range(5, 1)):append_text(" (" .. name .. ")")
    item:add(f.c_version, range(6, 1))
    item:add(f.c_service1, range(7, 2))
    item:add(f.c_fn, range(9, 8), packed(range(9, 8)))
    item:add(f.c_fd, range(17, 3))
    item:add(f.c_iv, range(20, 8))
    item:add(f.c_service2, range(28, 2))
    item:add(f.c_open_len, range(30, 2))
    local data_len = total - CONTAINER_HEADER - TRAILER
    local encrypted = true
    if data_len >= 4 then
        local data = range(CONTAINER_HEADER, data_len)
        -- No flag tells: an open document begins with its form and a length that gives the open length.
        encrypted = data(0, 2):le_uint() ~= form or data(2, 2):le_uint() + 4 ~= range(30, 2):uint()
        item:add(f.c_encrypted, data, encrypted):set_generated()
        if encrypted then
            item:add(f.c_ciphertext, data)
        else
            document(item, data)
        end
    elseif data_len > 0 then
        item:add(f.c_ciphertext, range(CONTAINER_HEADER, data_len))
    end
    local sign = item:add(f.c_sign, range(total - TRAILER, 8))
    sign:prepend_text((SIGNS[kind] or "") .. " ")
    item:add(f.c_tail, range(total - 2, 2))
    local about = string.format("ФД %d, form %d %s", range(17, 3):uint(), form, name)
    return about .. (encrypted and ", encrypted" or "") .. (right and "" or ", WRONG CHECKSUM")
end

---------------------------------------------------------------------------------------------------- session
local function is_message(tvb)
    if tvb:len() < 5 then
        return false
    end
    local head = tvb(0, 4):raw()
    local version = tvb(4, 1):uint()
    return (head == OFD and version == 0x81) or (head == OISM and version == 0x82)
end

local function flags(tree, range)
    local item = tree:add_le(f.flags, range)
    for _, field in ipairs({ f.flag_crc, f.flag_container, f.flag_answer, f.flag_priority, f.flag_reserved }) do
        item:add_le(field, range)
    end
end

local function message(tvb, pinfo, root)
    local whole = tvb(0)
    local tree = root:add(kkt, whole)
    local ofd = tvb(0, 4):raw() == OFD
    local service = ofd and "fiscal documents" or "marking codes"
    tree:add(f.signature, tvb(0, 4)):append_text(" (" .. service .. ")")
    tree:add(f.s_version, tvb(4, 2))
    tree:add(f.p_version, tvb(6, 2))
    local fn = tvb(8, 16):raw():gsub(" +$", "")
    tree:add(f.fn, tvb(8, 16), fn)
    tree:add_le(f.body_len, tvb(24, 2))
    flags(tree, tvb(26, 2))
    local mode = tvb(26, 2):le_uint() % 4
    local code = tree:add_le(f.crc, tvb(28, 2))
    local verdict = 2
    local covered = tvb(0, 28):raw()
    if mode == 1 then
        verdict = crc(covered) == tvb(28, 2):le_uint() and 1 or 0
    elseif mode == 2 then
        local body = tvb:len() > HEADER and tvb(HEADER):raw() or ""
        verdict = crc(covered, body) == tvb(28, 2):le_uint() and 1 or 0
    end
    status(code, f.crc_status, tvb(28, 2), verdict)

    local body_len = tvb:len() - HEADER
    local about
    if body_len == 0 then
        tree:add(f.probe, whole, true):set_generated()
        about = tvb(26, 2):le_uint() == 0 and "answer to a probe" or "probe"
    elseif body_len >= CONTAINER_HEADER + TRAILER then
        about = container(tree, tvb(HEADER))
    else
        tree:add(f.body, tvb(HEADER)):add_proto_expert_info(e.malformed)
        about = body_len .. " bytes that are no container"
    end
    about = "ФН " .. fn .. ", " .. about
    tree:append_text(": " .. about)
    pinfo.cols.protocol = ofd and "KKT" or "KKT-OISM"
    pinfo.cols.info:append(" " .. about)
    return tvb:len()
end

local function message_len(tvb, _, offset)
    return HEADER + tvb(offset + 24, 2):le_uint()
end

function kkt.dissector(tvb, pinfo, root)
    -- The middle of a message that the capture has not the beginning of, or another protocol.
    if not is_message(tvb) then
        return 0
    end
    pinfo.cols.info:clear()
    dissect_tcp_pdus(tvb, root, HEADER, message_len, message)
    return tvb:len()
end

local function heuristic(tvb, pinfo, root)
    if not is_message(tvb) then
        return false
    end
    pinfo.conversation = kkt
    kkt.dissector(tvb, pinfo, root)
    return true
end

local port
local function listen()
    local ports = DissectorTable.get("tcp.port")
    if port then
        ports:remove(port, kkt)
    end
    port = kkt.prefs.port
    ports:add(port, kkt)
end

kkt.prefs_changed = listen
kkt:register_heuristic("tcp", heuristic)
listen()
