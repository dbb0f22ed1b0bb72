-- SELECT * in a comment is harmless
CREATE VIEW v AS SELECT * FROM account;
