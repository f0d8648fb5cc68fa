"""The LALR(1) tables of `esp.lark`. Made by grammar/make_tables.py; `make grammar` writes it again."""

from __future__ import annotations

# fmt: off

# The state to begin in, by the rule that is read.
INITIAL = {'start': 0, 'override': 1}

# The state that is reached when all is read.
FINAL = {'start': 21, 'override': 47}

# Kinds of words that the parser never sees.
IGNORED = (
    'COMMENT',
    'WHITE',
)

# Kinds of words and their patterns. The first that matches wins.
TERMINALS = (
    ('LONG_STRING', '"""[^"\\\\]*(?:(?:\\\\[\\s\\S]|"(?!""))[^"\\\\]*)*"""'),
    ('UNCLOSED_LONG', '"""[\\s\\S]*'),
    ('STRING', '"[^"\\\\\n]*(?:\\\\[^\n][^"\\\\\n]*)*"'),
    ('SINGLE_QUOTED', "'[^'\n]*'"),
    ('UNCLOSED', '"[^\n]*'),
    ('NUMBER', '-?(?:\\d[\\d_]*)(?:\\.\\d[\\d_]*)?(?:[eE][+-]?\\d+)?(?:[^\\W\\d]\\w*)?'),
    ('NAME', '[^\\W\\d]\\w*'),
    ('WHITE', '[ \t\r\n\x0c\ufeff]+'),
    ('COMMENT', '#[^\n]*'),
    ('COLON', ':'),
    ('COMMA', ','),
    ('DOT', '\\.'),
    ('EQUAL', '='),
    ('LBRACE', '\\{'),
    ('LPAR', '\\('),
    ('LSQB', '\\['),
    ('OPTIONAL', '\\?'),
    ('RBRACE', '\\}'),
    ('RPAR', '\\)'),
    ('RSQB', '\\]'),
    ('ILLEGAL', '.'),
)

# Origin, length, name of the tree (empty: its only part stands for it), children (place, whether taken apart).
RULES: tuple[tuple[str, int, str, tuple[tuple[int, bool], ...]], ...] = (
    ('___arguments_star_8', 2, '___arguments_star_8', ((1, False),)),
    ('___arguments_star_8', 3, '___arguments_star_8', ((0, True), (2, False))),
    ('__block_star_4', 2, '__block_star_4', ((0, True),)),
    ('__block_star_4', 1, '__block_star_4', ((0, True),)),
    ('__block_star_4', 3, '__block_star_4', ((0, True), (1, True))),
    ('__block_star_4', 2, '__block_star_4', ((0, True), (1, True))),
    ('__key_star_5', 2, '__key_star_5', ((1, True),)),
    ('__key_star_5', 3, '__key_star_5', ((0, True), (2, True))),
    ('__list_star_7', 2, '__list_star_7', ((1, False),)),
    ('__list_star_7', 3, '__list_star_7', ((0, True), (2, False))),
    ('__path_star_9', 2, '__path_star_9', ((1, False),)),
    ('__path_star_9', 3, '__path_star_9', ((0, True), (2, False))),
    ('__requires_star_3', 2, '__requires_star_3', ((1, False),)),
    ('__requires_star_3', 3, '__requires_star_3', ((0, True), (2, False))),
    ('__stage_star_2', 1, '__stage_star_2', ((0, True),)),
    ('__stage_star_2', 2, '__stage_star_2', ((0, True), (1, True))),
    ('__stages_star_1', 1, '__stages_star_1', ((0, False),)),
    ('__stages_star_1', 2, '__stages_star_1', ((0, True), (1, False))),
    ('__start_star_0', 1, '__start_star_0', ((0, True),)),
    ('__start_star_0', 2, '__start_star_0', ((0, True), (1, True))),
    ('__type_star_6', 2, '__type_star_6', ((1, True),)),
    ('__type_star_6', 3, '__type_star_6', ((0, True), (2, True))),
    ('_arguments', 3, '_arguments', ((0, False), (1, True))),
    ('_arguments', 2, '_arguments', ((0, False), (1, True))),
    ('_arguments', 2, '_arguments', ((0, False),)),
    ('_arguments', 1, '_arguments', ((0, False),)),
    ('_clause', 1, '_clause', ((0, False),)),
    ('_clause', 1, '_clause', ((0, False),)),
    ('_clause', 1, '_clause', ((0, False),)),
    ('_declaration', 1, '_declaration', ((0, False),)),
    ('_declaration', 1, '_declaration', ((0, False),)),
    ('_declaration', 1, '_declaration', ((0, False),)),
    ('_declaration', 1, '_declaration', ((0, False),)),
    ('_declaration', 1, '_declaration', ((0, False),)),
    ('_declaration', 1, '_declaration', ((0, False),)),
    ('_dim', 1, '_dim', ((0, False),)),
    ('_dim', 1, '_dim', ((0, False),)),
    ('_entry', 1, '_entry', ((0, False),)),
    ('_entry', 1, '_entry', ((0, False),)),
    ('_entry', 1, '_entry', ((0, False),)),
    ('_entry', 1, '_entry', ((0, False),)),
    ('_key_word', 1, '_key_word', ((0, False),)),
    ('_key_word', 1, '_key_word', ((0, False),)),
    ('_key_word', 1, '_key_word', ((0, False),)),
    ('_key_word', 1, '_key_word', ((0, False),)),
    ('_key_word', 1, '_key_word', ((0, False),)),
    ('_key_word', 1, '_key_word', ((0, False),)),
    ('_key_word', 1, '_key_word', ((0, False),)),
    ('_key_word', 1, '_key_word', ((0, False),)),
    ('_key_word', 1, '_key_word', ((0, False),)),
    ('_key_word', 1, '_key_word', ((0, False),)),
    ('_key_word', 1, '_key_word', ((0, False),)),
    ('_key_word', 1, '_key_word', ((0, False),)),
    ('_key_word', 1, '_key_word', ((0, False),)),
    ('_key_word', 1, '_key_word', ((0, False),)),
    ('_key_word', 1, '_key_word', ((0, False),)),
    ('_key_word', 1, '_key_word', ((0, False),)),
    ('_key_word', 1, '_key_word', ((0, False),)),
    ('_key_word', 1, '_key_word', ((0, False),)),
    ('_key_word', 1, '_key_word', ((0, False),)),
    ('_key_word', 1, '_key_word', ((0, False),)),
    ('_key_word', 1, '_key_word', ((0, False),)),
    ('_key_word', 1, '_key_word', ((0, False),)),
    ('added', 2, 'added', ((0, False), (1, False))),
    ('added', 2, 'added', ((0, False), (1, False))),
    ('argument', 3, 'argument', ((0, False), (2, False))),
    ('argument', 1, 'positional', ((0, False),)),
    ('block', 3, 'block', ((1, True),)),
    ('block', 2, 'block', ()),
    ('call', 5, 'call', ((0, False), (2, True), (4, False))),
    ('call', 4, 'call', ((0, False), (2, True))),
    ('call', 4, 'call', ((0, False), (3, False))),
    ('call', 3, 'call', ((0, False),)),
    ('config', 2, 'config', ((0, False), (1, False))),
    ('config', 4, 'config', ((0, False), (1, False), (2, False), (3, False))),
    ('config', 3, 'config', ((0, False), (1, False), (2, False))),
    ('dataset', 3, 'dataset', ((0, False), (1, False), (2, False))),
    ('extends', 2, 'extends', ((0, False), (1, False))),
    ('field', 4, 'field', ((0, False), (1, False), (3, False))),
    ('field', 3, 'field', ((0, False), (2, False))),
    ('key', 2, 'key', ((0, True), (1, True))),
    ('key', 1, 'key', ((0, True),)),
    ('let', 4, 'let', ((0, False), (1, False), (3, False))),
    ('list', 5, 'list', ((1, False), (2, True))),
    ('list', 4, 'list', ((1, False), (2, True))),
    ('list', 4, 'list', ((1, False),)),
    ('list', 3, 'list', ((1, False),)),
    ('list', 2, 'list', ()),
    ('on', 2, 'on', ((0, False), (1, False))),
    ('override', 4, 'override', ((0, False), (1, False), (3, False))),
    ('override', 3, 'override', ((0, False), (2, False))),
    ('parallel', 4, 'parallel', ((0, False), (1, False), (3, False))),
    ('partial', 5, 'partial', ((0, False), (1, False), (3, True))),
    ('partial', 4, 'partial', ((0, False), (1, False))),
    ('path', 2, 'path', ((0, False), (1, True))),
    ('path', 1, 'path', ((0, False),)),
    ('recipe', 3, 'recipe', ((0, False), (1, False), (2, False))),
    ('reference', 2, 'reference', ((0, False), (1, False))),
    ('reference', 1, 'reference', ((0, False),)),
    ('requires', 3, 'requires', ((0, False), (1, False), (2, True))),
    ('requires', 2, 'requires', ((0, False), (1, False))),
    ('runs', 2, 'runs', ((0, False), (1, False))),
    ('section', 2, 'section', ((0, False), (1, False))),
    ('setting', 3, 'setting', ((0, False), (2, False))),
    ('stage', 3, 'stage', ((0, False), (1, True), (2, False))),
    ('stage', 2, 'stage', ((0, False), (1, True))),
    ('stage', 2, 'stage', ((0, False), (1, False))),
    ('stage', 1, 'stage', ((0, False),)),
    ('stages', 4, 'stages', ((0, False), (2, True))),
    ('stages', 3, 'stages', ((0, False),)),
    ('start', 1, 'start', ((0, True),)),
    ('start', 0, 'start', ()),
    ('type', 5, 'type', ((0, False), (2, True), (3, True))),
    ('type', 4, 'type', ((0, False), (2, True))),
    ('type', 1, 'type', ((0, False),)),
    ('value', 1, 'string', ((0, False),)),
    ('value', 1, 'long_string', ((0, False),)),
    ('value', 1, 'number', ((0, False),)),
    ('value', 1, 'true', ((0, False),)),
    ('value', 1, 'false', ((0, False),)),
    ('value', 1, 'null', ((0, False),)),
    ('value', 1, 'missing', ((0, False),)),
    ('value', 1, '', ()),
    ('value', 1, '', ()),
    ('value', 1, '', ()),
    ('value', 1, '', ()),
    ('value', 1, '', ()),
    ('value', 1, '', ()),
    ('value', 1, '', ()),
    ('value', 1, '', ()),
    ('value', 1, '', ()),
    ('well_known', 1, 'well_known', ((0, False),)),
    ('well_known', 1, 'well_known', ((0, False),)),
    ('well_known', 1, 'well_known', ((0, False),)),
    ('well_known', 1, 'well_known', ((0, False),)),
    ('well_known', 1, 'well_known', ((0, False),)),
)

# Kinds of tokens that have the same action somewhere.
KINDS = """
$END; CONFIG; DATASET; DEMO; INFERENCE; LET; METRICS; PARALLEL; PUBLICATION; RECIPE; STAGES; TRAINING; EXTENDS; FALSE;
NAME; NEW; NULL; ON; PARTIAL; REQUIRES; RUNS; STRING; TRUE; LBRACE; $END CONFIG DATASET DEMO INFERENCE LET METRICS
PARALLEL PUBLICATION RECIPE STAGES TRAINING; COLON DOT EQUAL LBRACE OPTIONAL; DOT EQUAL; COLON EQUAL LBRACE OPTIONAL;
DOT; EQUAL; RBRACE; ILLEGAL; LONG_STRING; LSQB; MISSING; NUMBER; SINGLE_QUOTED; UNCLOSED; UNCLOSED_LONG; NAME RBRACE;
$END COMMA CONFIG DATASET DEMO EXTENDS FALSE INFERENCE LET METRICS NAME NEW NULL ON PARALLEL PARTIAL PUBLICATION RBRACE
RECIPE REQUIRES RPAR RSQB RUNS STAGES STRING TRAINING TRUE; COMMA; CONFIG DATASET DEMO EXTENDS FALSE INFERENCE LET
METRICS NAME NEW NULL ON PARALLEL PARTIAL PUBLICATION RBRACE RECIPE REQUIRES RUNS STAGES STRING TRAINING TRUE; COMMA
CONFIG DATASET DEMO EXTENDS FALSE INFERENCE LET METRICS NAME NEW NULL ON PARALLEL PARTIAL PUBLICATION RBRACE RECIPE
REQUIRES RUNS STAGES STRING TRAINING TRUE; COLON; OPTIONAL; RSQB; $END COMMA CONFIG DATASET DEMO EXTENDS FALSE
INFERENCE LBRACE LET LPAR METRICS NAME NEW NULL ON PARALLEL PARTIAL PUBLICATION RBRACE RECIPE REQUIRES RPAR RSQB RUNS
STAGES STRING TRAINING TRUE; LPAR; LBRACE NAME ON RBRACE REQUIRES RUNS; RPAR; $END COMMA CONFIG DATASET DEMO DOT
EXTENDS FALSE INFERENCE LBRACE LET LPAR METRICS NAME NEW NULL ON PARALLEL PARTIAL PUBLICATION RBRACE RECIPE REQUIRES
RPAR RSQB RUNS STAGES STRING TRAINING TRUE; COMMA LBRACE LPAR RPAR; COMMA RPAR; COMMA RSQB; COMMA LBRACE NAME ON RBRACE
REQUIRES RUNS
"""

# By state: ACTION:KINDS. An action is the state to go to, or ~(the number of the rule that is complete).
ACTIONS = """
-112:0 2:1 3:2 4:3 5:4 6:5 7:6 8:7 9:8 10:9 11:10 12:11; 23:1 24:2 25:3 26:12 27:13 28:4 29:5 30:6 31:14 32:15 33:16
34:17 35:7 36:18 37:8 38:9 39:19 40:20 41:10 42:21 43:11 44:22; 48:14; 49:14; -136:23; -133:23; 50:14; -134:23; 51:14;
-135:23; 52:14; 53:23; -132:23; -111:0 2:1 3:2 4:3 5:4 6:5 7:6 8:7 9:8 10:9 11:10 12:11; -19:24; -32:24; -31:24;
-34:24; -33:24; -30:24; -35:24; ; 55:23; -46:25; -45:25; -55:25; -47:25; -62:25; -52:25; -49:25; -53:25; -42:25; 23:1
24:2 25:3 -59:26 26:12 27:13 28:4 29:5 30:6 31:14 57:15 33:16 34:17 35:7 36:18 37:8 38:9 39:19 40:20 41:10 42:21 43:11
44:22; -63:25; -58:25; -48:25; -60:25; -54:25; -44:25; -56:25; -57:25; -50:25; -43:25; -51:25; -61:25; -82:27 59:28;
61:29; ; 62:12 55:23; 55:23; 66:29; 67:29; 55:23; 69:14 70:30; -20:24; 23:1 24:2 25:3 26:12 27:13 28:4 29:5 30:6 31:14
73:15 33:16 34:17 35:7 36:18 37:8 74:30 38:9 39:19 40:20 41:10 42:21 43:11 44:22; -74:24; -59:25; 82:29; 23:1 24:2 25:3
26:12 27:13 28:4 29:5 30:6 31:14 57:15 33:16 34:17 35:7 36:18 37:8 38:9 39:19 40:20 41:10 42:21 43:11 44:22; -81:27
84:28; 85:13 86:31 55:23 87:32 88:33 89:34 90:14 91:16 92:35 93:18 94:36 95:21 96:22 97:37 98:38; 106:14; -76:24;
55:23; -77:24; 85:13 86:31 55:23 87:32 88:33 89:34 90:14 91:16 92:35 93:18 94:36 95:21 96:22 97:37 98:38; 85:13 86:31
55:23 87:32 88:33 89:34 90:14 91:16 92:35 93:18 94:36 95:21 96:22 97:37 98:38; -97:24; 55:23 -108:39 110:17 111:19
112:20; -110:24; 69:14 119:30; -17:39; -59:25 23:1 24:2 25:3 26:12 27:13 28:4 29:5 30:6 31:14 57:15 33:16 34:17 35:7
36:18 37:8 38:9 39:19 40:20 41:10 42:21 43:11 44:22; -69:40; 23:1 24:2 25:3 26:12 27:13 28:4 29:5 30:6 31:14 73:15
33:16 34:17 35:7 36:18 37:8 124:30 38:9 39:19 40:20 41:10 42:21 43:11 44:22; 126:41 -4:42; -40:43; -41:43; 127:44
128:29 55:23 129:45; -39:43; -38:43; 85:13 86:31 55:23 87:32 88:33 89:34 90:14 91:16 92:35 93:18 94:36 95:21 96:22
97:37 98:38; -7:25; 23:1 24:2 25:3 26:12 27:13 28:4 29:5 30:6 31:14 57:15 33:16 34:17 35:7 36:18 37:8 38:9 39:19 40:20
41:10 42:21 43:11 44:22; -120:40; -126:40; -117:40; 85:13 86:31 55:23 87:32 88:33 89:34 90:14 91:16 92:35 93:18 133:46
94:36 95:21 96:22 97:37 98:38; -122:40; -96:47 135:28; -121:40; -118:40; 90:14; -125:40; -116:40; -119:40; -123:40;
-124:40; -128:40; -130:40; -127:40; -129:40; -99:40 55:23 138:48; -131:40; -91:0; -78:23; -75:24; -83:24; -92:24;
140:14; 141:14; 90:14; 55:23 -106:39 110:17 111:19 112:20; -15:49; -107:39; -29:49; -27:49; -28:49; -109:24; -18:39;
128:29 55:23; -65:43; -64:43; -68:40; 145:41 -6:42; -3:42; 146:14; 85:13 86:31 55:23 87:32 88:33 89:34 90:14 91:16
92:35 93:18 94:36 95:21 96:22 97:37 98:38; 149:44; -103:43; -90:0; -8:25; -88:40; 150:41 151:46; 153:14; -95:47 154:28;
155:48; 85:13 86:31 55:23 87:32 88:33 89:34 156:14 91:16 92:35 93:18 157:50 94:36 95:21 96:22 97:37 98:38; -98:40;
-89:49; 161:41 -101:49; -102:49; -16:49; -105:39; -5:42; -115:43 163:33; -80:43; -104:43; 146:14; 85:13 86:31 55:23
87:32 88:33 89:34 90:14 91:16 92:35 93:18 165:46 94:36 95:21 96:22 97:37 98:38; -87:40; 167:41 168:46; -11:51; 169:14;
85:13 86:31 55:23 87:32 88:33 89:34 156:14 91:16 92:35 93:18 170:50 94:36 95:21 96:22 97:37 98:38; -96:52 135:28
172:29; -73:40 55:23; 174:50; 175:41 -26:50; -67:53; 177:14; 178:41 -100:49; 179:14 180:35; -79:43; -86:40; -9:54;
85:13 86:31 55:23 87:32 88:33 89:34 90:14 91:16 92:35 93:18 182:46 94:36 95:21 96:22 97:37 98:38; -85:40; -12:51;
-94:40; 184:50; 85:13 86:31 55:23 87:32 88:33 89:34 90:14 91:16 92:35 93:18 94:36 95:21 96:22 97:37 98:38; -72:40;
-71:40 55:23; 85:13 86:31 55:23 87:32 88:33 89:34 156:14 91:16 92:35 93:18 -25:50 94:36 95:21 96:22 97:37 98:38; 188:41
-24:50; -13:55; 189:14; -36:54; -37:54; 190:41 191:46; -84:40; -10:54; -93:40; -66:53; -70:40; -1:53; 85:13 86:31 55:23
87:32 88:33 89:34 156:14 91:16 92:35 93:18 -23:50 94:36 95:21 96:22 97:37 98:38; -14:55; 179:14 180:35; -114:43; 195:41
196:46; -2:53; -21:54; 179:14 180:35; -113:43; -22:54
"""

# ORIGIN:STATE, where to go when a rule is complete.
ROWS = """
__start_star_0:13 _declaration:14 config:15 dataset:16 let:17 parallel:18 recipe:19 stages:20 start:21 well_known:22;
_key_word:45 key:46 override:47; ; _declaration:54 config:15 dataset:16 let:17 parallel:18 recipe:19 stages:20
well_known:22; block:56; _key_word:45 key:58; __key_star_5:60; block:63 extends:64; block:65; block:68;
__stages_star_1:71 stage:72; __block_star_4:75 _entry:76 _key_word:45 added:77 field:78 key:79 section:80 setting:81;
_key_word:83; block:99 call:100 list:101 partial:102 path:103 reference:104 value:105; block:107; block:99 call:100
list:101 partial:102 path:103 reference:104 value:108; block:99 call:100 list:101 partial:102 path:103 reference:104
value:109; __stage_star_2:113 _clause:114 block:115 on:116 requires:117 runs:118; stage:120; _key_word:45 key:121
section:122 setting:123; _entry:125 _key_word:45 added:77 field:78 key:79 section:80 setting:81; block:130; block:99
call:100 list:101 partial:102 path:103 reference:104 value:131; _key_word:132; block:99 call:100 list:101 partial:102
path:103 reference:104 value:134; __path_star_9:136; path:137; block:139; path:142; _clause:143 block:144 on:116
requires:117 runs:118; type:147; block:99 call:100 list:101 partial:102 path:103 reference:104 value:148;
__list_star_7:152; _arguments:158 argument:159 block:99 call:100 list:101 partial:102 path:103 reference:104 value:160;
__requires_star_3:162; type:164; block:99 call:100 list:101 partial:102 path:103 reference:104 value:166;
_arguments:171 argument:159 block:99 call:100 list:101 partial:102 path:103 reference:104 value:160; block:173;
___arguments_star_8:176; _dim:181; block:99 call:100 list:101 partial:102 path:103 reference:104 value:183; block:99
call:100 list:101 partial:102 path:103 reference:104 value:185; block:186; argument:187 block:99 call:100 list:101
partial:102 path:103 reference:104 value:160; __type_star_6:192; argument:193 block:99 call:100 list:101 partial:102
path:103 reference:104 value:160; _dim:194; _dim:197
"""

# By state: which of ROWS.
GOTOS = """
0 1 2 2 2 2 2 2 2 2 2 2 2 3 2 2 2 2 2 2 2 2 4 2 2 2 2 2 2 2 2 2 5 2 2 2 2 2 2 2 2 2 2 2 2 6 2 2 7 8 2 2 9 10 2 11 2 2 2
12 2 13 2 2 14 2 15 16 2 17 2 18 2 19 2 20 2 2 2 21 2 2 22 2 23 2 2 2 24 2 25 2 2 26 2 2 2 2 2 2 2 2 2 27 2 2 2 2 2 2 2
2 28 29 2 2 2 2 2 2 2 21 2 2 2 2 2 30 31 2 2 2 2 2 32 2 2 2 33 2 2 34 2 2 2 2 2 2 2 35 36 2 2 2 2 37 25 38 2 39 2 2 2
40 2 2 2 41 2 2 2 2 42 2 43 44 2 2 2 2 2 45 2 2 2 2 2 2 46 2 47 2 2 2 2 48 2 2
"""
