-- How role $1 stands, and what it may on schema $2.
SELECT r.oid IS NOT NULL,
       coalesce(r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls
           OR EXISTS (SELECT FROM pg_auth_members AS m WHERE m.member = r.oid)
           OR to_regnamespace('millstream') IS NOT NULL AND has_schema_privilege(r.oid, 'millstream', 'USAGE')
           OR EXISTS (SELECT FROM pg_class AS c WHERE c.relowner = r.oid), false),
       coalesce(pg_has_role(current_user, r.oid, 'MEMBER'), false),
       coalesce(has_schema_privilege(r.oid, $2, 'USAGE'), false)
FROM (VALUES (1)) AS one LEFT JOIN pg_roles AS r ON r.rolname = $1
