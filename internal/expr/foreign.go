package expr

// What PostgreSQL has beside our types. Overloads with these types take part
// in choosing a function, since leaving them out would choose others than
// PostgreSQL does: '1' + '2' is ambiguous there because of money and points.
// An expression that chooses one of them is refused.
//
// The lists are those of PostgreSQL 15's catalogue; TestForeignCatalogue
// compares them.

// foreignType is a type that this engine does not have.
type foreignType struct {
	name      string
	category  byte   // pg_type.typcategory
	preferred bool   // pg_type.typispreferred
	from      string // our types that PostgreSQL casts to it implicitly
}

var foreignTypes = []foreignType{
	{"_aclitem", 'A', false, ""},
	{"aclitem", 'U', false, ""},
	{"any", 'P', false, ""},
	{"anyarray", 'P', false, ""},
	{"anycompatible", 'P', false, ""},
	{"anycompatiblearray", 'P', false, ""},
	{"anyelement", 'P', false, ""},
	{"anyenum", 'P', false, ""},
	{"anymultirange", 'P', false, ""},
	{"anynonarray", 'P', false, ""},
	{"anyrange", 'P', false, ""},
	{"bit", 'V', false, ""},
	{"box", 'G', false, ""},
	{"bpchar", 'S', false, "text,varchar"},
	{"char", 'Z', false, ""},
	{"cid", 'U', false, ""},
	{"circle", 'G', false, ""},
	{"json", 'U', false, ""},
	{"line", 'G', false, ""},
	{"lseg", 'G', false, ""},
	{"macaddr", 'U', false, ""},
	{"macaddr8", 'U', false, ""},
	{"money", 'N', false, ""},
	{"name", 'S', false, "text,varchar"},
	{"oid", 'N', true, "int8,int2,int4"},
	{"oidvector", 'A', false, ""},
	{"path", 'G', false, ""},
	{"pg_lsn", 'U', false, ""},
	{"point", 'G', false, ""},
	{"polygon", 'G', false, ""},
	{"record", 'P', false, ""},
	{"tid", 'U', false, ""},
	{"timetz", 'D', false, ""},
	{"tsquery", 'U', false, ""},
	{"tsvector", 'U', false, ""},
	{"varbit", 'V', true, ""},
	{"xid", 'U', false, ""},
	{"xid8", 'U', false, ""},
}

// foreignOperators are the operators that take foreign types, as argument
// types without spaces.
var foreignOperators = map[string]string{
	"!~":   "bpchar,text name,text",
	"!~*":  "bpchar,text name,text",
	"!~~":  "bpchar,text name,text",
	"!~~*": "bpchar,text name,text",
	"#":    "bit,bit box,box line,line lseg,lseg path polygon",
	"#>":   "json,_text",
	"#>>":  "json,_text",
	"&&":   "anymultirange,anymultirange anymultirange,anyrange anyrange,anymultirange anyrange,anyrange box,box circle,circle polygon,polygon tsquery,tsquery",
	"&":    "bit,bit macaddr,macaddr macaddr8,macaddr8",
	"*":    "anymultirange,anymultirange anyrange,anyrange box,point circle,point float4,money float8,money int2,money int4,money int8,money money,float4 money,float8 money,int2 money,int4 money,int8 path,point point,point",
	"+":    "_aclitem,aclitem anymultirange,anymultirange anyrange,anyrange box,point circle,point date,timetz interval,timetz money,money numeric,pg_lsn path,path path,point pg_lsn,numeric point,point timetz,date timetz,interval",
	"-":    "_aclitem,aclitem anymultirange,anymultirange anyrange,anyrange box,point circle,point money,money path,point pg_lsn,numeric pg_lsn,pg_lsn point,point timetz,interval",
	"->":   "json,int4 json,text",
	"->>":  "json,int4 json,text",
	"/":    "box,point circle,point money,float4 money,float8 money,int2 money,int4 money,int8 money,money path,point point,point",
	"<":    "anyenum,anyenum anymultirange,anymultirange anyrange,anyrange bit,bit box,box bpchar,bpchar char,char circle,circle lseg,lseg macaddr,macaddr macaddr8,macaddr8 money,money name,name name,text oid,oid oidvector,oidvector path,path pg_lsn,pg_lsn record,record text,name tid,tid timetz,timetz tsquery,tsquery tsvector,tsvector varbit,varbit xid8,xid8",
	"<<":   "anymultirange,anymultirange anymultirange,anyrange anyrange,anymultirange anyrange,anyrange bit,int4 box,box circle,circle point,point polygon,polygon",
	"<=":   "anyenum,anyenum anymultirange,anymultirange anyrange,anyrange bit,bit box,box bpchar,bpchar char,char circle,circle lseg,lseg macaddr,macaddr macaddr8,macaddr8 money,money name,name name,text oid,oid oidvector,oidvector path,path pg_lsn,pg_lsn record,record text,name tid,tid timetz,timetz tsquery,tsquery tsvector,tsvector varbit,varbit xid8,xid8",
	"<>":   "anyenum,anyenum anymultirange,anymultirange anyrange,anyrange bit,bit bpchar,bpchar char,char circle,circle lseg,lseg macaddr,macaddr macaddr8,macaddr8 money,money name,name name,text oid,oid oidvector,oidvector pg_lsn,pg_lsn point,point record,record text,name tid,tid timetz,timetz tsquery,tsquery tsvector,tsvector varbit,varbit xid,int4 xid,xid xid8,xid8",
	"<@":   "anyelement,anymultirange anyelement,anyrange anymultirange,anymultirange anymultirange,anyrange anyrange,anymultirange anyrange,anyrange box,box circle,circle lseg,box lseg,line point,box point,circle point,line point,lseg point,path point,polygon polygon,polygon tsquery,tsquery",
	"=":    "aclitem,aclitem anyenum,anyenum anymultirange,anymultirange anyrange,anyrange bit,bit box,box bpchar,bpchar char,char cid,cid circle,circle line,line lseg,lseg macaddr,macaddr macaddr8,macaddr8 money,money name,name name,text oid,oid oidvector,oidvector path,path pg_lsn,pg_lsn record,record text,name tid,tid timetz,timetz tsquery,tsquery tsvector,tsvector varbit,varbit xid,int4 xid,xid xid8,xid8",
	">":    "anyenum,anyenum anymultirange,anymultirange anyrange,anyrange bit,bit box,box bpchar,bpchar char,char circle,circle lseg,lseg macaddr,macaddr macaddr8,macaddr8 money,money name,name name,text oid,oid oidvector,oidvector path,path pg_lsn,pg_lsn record,record text,name tid,tid timetz,timetz tsquery,tsquery tsvector,tsvector varbit,varbit xid8,xid8",
	">=":   "anyenum,anyenum anymultirange,anymultirange anyrange,anyrange bit,bit box,box bpchar,bpchar char,char circle,circle lseg,lseg macaddr,macaddr macaddr8,macaddr8 money,money name,name name,text oid,oid oidvector,oidvector path,path pg_lsn,pg_lsn record,record text,name tid,tid timetz,timetz tsquery,tsquery tsvector,tsvector varbit,varbit xid8,xid8",
	">>":   "anymultirange,anymultirange anymultirange,anyrange anyrange,anymultirange anyrange,anyrange bit,int4 box,box circle,circle point,point polygon,polygon",
	"?|":   "line lseg point,point",
	"@>":   "_aclitem,aclitem anymultirange,anyelement anymultirange,anymultirange anymultirange,anyrange anyrange,anyelement anyrange,anymultirange anyrange,anyrange box,box box,point circle,circle circle,point path,point polygon,point polygon,polygon tsquery,tsquery",
	"|":    "bit,bit macaddr,macaddr macaddr8,macaddr8",
	"||":   "anynonarray,text text,anynonarray tsquery,tsquery tsvector,tsvector varbit,varbit",
	"~":    "bit bpchar,text macaddr macaddr8 name,text",
	"~*":   "bpchar,text name,text",
	"~~":   "bpchar,text name,text",
	"~~*":  "bpchar,text name,text",
}

// foreignFunctions are the functions that take foreign types.
var foreignFunctions = map[string]string{
	"age":              "xid",
	"bit_count":        "bit",
	"bit_length":       "bit",
	"char_length":      "bpchar",
	"character_length": "bpchar",
	"concat":           "any",
	"count":            "any",
	"date_part":        "text,timetz",
	"extract":          "text,timetz",
	"get_bit":          "bit,int4",
	"length":           "bit bpchar bytea,name lseg path tsvector",
	"lower":            "anymultirange anyrange",
	"max":              "anyarray anyenum bpchar money oid pg_lsn tid timetz xid8",
	"min":              "anyarray anyenum bpchar money oid pg_lsn tid timetz xid8",
	"octet_length":     "bit bpchar",
	"overlaps":         "timetz,timetz,timetz,timetz",
	"overlay":          "bit,bit,int4 bit,bit,int4,int4",
	"position":         "bit,bit",
	"quote_literal":    "anyelement",
	"quote_nullable":   "anyelement",
	"set_bit":          "bit,int4,int4",
	"substring":        "bit,int4 bit,int4,int4",
	"sum":              "money",
	"timezone":         "interval,timetz text,timetz",
	"trunc":            "macaddr macaddr8",
	"upper":            "anymultirange anyrange",
	"width_bucket":     "anycompatible,anycompatiblearray",
}
