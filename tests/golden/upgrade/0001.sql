BEGIN TRANSACTION;
CREATE TABLE account (
	id INTEGER NOT NULL, 
	authority_id INTEGER NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	identity VARCHAR(255), 
	epoch INTEGER NOT NULL, 
	lease_owner VARCHAR(128), 
	lease_until DOUBLE, 
	failures INTEGER NOT NULL, 
	in_flight INTEGER NOT NULL, 
	failures_since DOUBLE, 
	locked_until DOUBLE, 
	CONSTRAINT pk_account PRIMARY KEY (id), 
	CONSTRAINT fk_account_authority_id FOREIGN KEY(authority_id) REFERENCES authority (id), 
	CONSTRAINT uq_account_authority_id_name UNIQUE (authority_id, name)
);
INSERT INTO "account" VALUES(1,1,'boss',NULL,0,NULL,NULL,0,0,1.79535867801900196074e+09,NULL);
INSERT INTO "account" VALUES(2,1,'ann','fake:ann',2,NULL,NULL,0,0,1.79535867841199922555e+09,NULL);
INSERT INTO "account" VALUES(3,1,'bob','fake:bob',1,NULL,NULL,0,0,1.79535867818898701672e+09,NULL);
INSERT INTO "account" VALUES(4,1,'carol','fake:carol',1,NULL,NULL,0,0,1.79535867869998812676e+09,NULL);
INSERT INTO "account" VALUES(5,1,'dora','fake:dora',1,'worker-1',1.795358978817991972e+09,0,0,1.79535867881698608396e+09,NULL);
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE attempt (
	id INTEGER NOT NULL, 
	operation_id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	epoch INTEGER NOT NULL, 
	worker VARCHAR(128) NOT NULL, 
	login VARCHAR(255), 
	template_sha256 VARCHAR(64), 
	outcome VARCHAR(32), 
	message VARCHAR(1000), 
	proof VARCHAR(16), 
	steps JSON, 
	transcript BLOB, 
	started DOUBLE NOT NULL, 
	finished DOUBLE, 
	CONSTRAINT pk_attempt PRIMARY KEY (id), 
	CONSTRAINT fk_attempt_operation_id FOREIGN KEY(operation_id) REFERENCES operation (id), 
	CONSTRAINT uq_attempt_operation_id_epoch UNIQUE (operation_id, epoch)
);
INSERT INTO "attempt" VALUES(1,1,1,1,'worker-1','ann@box','0e2dcf2c66fb7b766fac1ba008f13f18380eeb30f8d8471002dd40bad50f1bf9','ok','','login','[[15, "check-status", "ok", 13], [17, "set ********", "ok", 8], [19, "save", "ok", 1]]',X'012E81889039C225BD4A0D5E2790FF574300506D29B6C2DB72F9F41F711AC0EECF51F2F79694E4A959BA3647A0C224E56C616B8F001F432AD42DAE1FD9132BE3F24CABF228BB78E04140448491DC1F08A8972B3DDCA9F45157E3281E426BC410DAEB779E39B4F272D7EFF48388584A1A38F661DB90FC2FEED97F49ADC08EAF44AF21F7589EF4B9A12AAB161FBF9A60DC2FC33570E183FC307EE47BF8DCF148C877D3A605B07B81C799B2A2EDC800BE33C6F34770F805F99EBC55556F8610CA54B86B55D7DB9CFC4ED3E8E4A3D15F32E023106BAF2F3B6FCAD7CCDFAA05DD816A0490D7A9364494E27E48692CA5CE86DD8876ED6059FB741C7C6EB4572A92CC6C57B99D4C8AEEA093129B0E43E1F2BC77EA40417CC8D3317E903ED10FA4B93E1F6B1FAC0B5AC218A847A42F6E15F605BC75697F0466C24028D2240F8541D7A20569D8E3C376CC88809D01730CCB0AAC35C16862928B8BC5EA8C38E7B32AB9B9B64CB9C7CB0286DE5ABB046D6655E4892EC30268CF342F8F9AF00FEBC3AC9D86CD021A10AFB2B01B030AB428CA21892584B559D81081ADF63D329BF5754FD7620289D7E9F571B70FA5AE07B2A34FF1F69B18FD92ECF2C4767EA7482EC643CDCD05E42F142AB8D1CAF9DBBBA1DF436BFB52C151414B8741741CA5A15E9003',1.7953586774900169372e+09,1.79535867787400197984e+09);
INSERT INTO "attempt" VALUES(2,2,1,1,'worker-1','boss@box','2a7d03f3d80d77cc3b443ba15661a214ec2cb9998a82dd4562268f42dc93fc9c','ok','','login','[[15, "check-status", "ok", 23], [17, "set ********", "ok", 11], [19, "save", "ok", 1]]',X'012E81889039C225BD4A0D5E2790FF57430050F6B356E35267D6242CB5A4D032BE745DA74E6E4FB77F29B37B286BF08AE4A76F51A1A40B76C470F9352730D0469F941741AFAD00202A8EEC7CA52CA55768F9089535A95A5A30379EF39079E274B7A73C85974DFF45FCFB08A22AD858896724E07BB1B59D8B8A95F214B8F20F297EC2052E9AF08AC5FC08D5FFCCD4A5F88E1C806A573F91BD8841F67BED5BA960BBBF9E1061E9C41A46313D8B62E181ED2632405AC05AF1AFE68D6F22AF34763B97B8CFBEDE39584E81A121367C8B36F780938EDD756ACF95752400DD9F76FCE0CCEF862FB910E834BC16CE46AFF11A46468D601766ED1715A2122168267E580521CADC02F3D84A01E5726C5B1D524DAD18525D499457B7FE367612A3D0AA35632640A933E7673F6F5807E61F38B9E8A62FB8E969ABDF19F2C792DAB482B2C864EFFDA96B90D3B10B0C7A24B4BF3C4F77F371E58837E8FDE20AB81FB5EF3237B2FC02C0B1F9A4F666DCB5B41CF1906B2E7BE3994BC0CFE3EA9F80BE45D7A14724095DB5B4C333CA6CF68FC1DD742063BBEF5C4E251B651D8A9681D36BBE20653DF3DB2900D4BB252A02794249905A4CABC7E9FD01DBC748E01B7592AF7A954F3EE8D90C83377B8AB8087F5952ECE2DE2C48C48A6875D29BE96239EF116DA9B049A1',1.79535867804000377661e+09,1.79535867823799109455e+09);
INSERT INTO "attempt" VALUES(3,3,1,2,'worker-1','ann@box','0e2dcf2c66fb7b766fac1ba008f13f18380eeb30f8d8471002dd40bad50f1bf9','ok','','login','[[15, "check-status", "ok", 1], [17, "set ********", "ok", 7], [19, "save", "ok", 1]]',X'012E81889039C225BD4A0D5E2790FF57430050F2C268D2AFFA22FFA883D5BCA36E57F7A98418C3E68719CFC3E79535CD3D1C7E5942CCEFC3A8107B41D90D7BDC5F40526D526B458E95F1DD13098A86FD69E6CC46BA285F8273A8E755ACED16D3ED4C34899037CFA4B7B532969DCB0E2EDB3A691B78201A2435942E3768D6B115E527F5717B1E8C89F7AA6CD4CF8425419A8BA770B2BBE458BE1A48F7359A364147A6DEA949E96D6BF5B6697089F7254B9D5B8426F991C2A87438EE6924C55FBDBF5A995687B636DDA0DA473AAA0D09FE828EECF3B8AAD0024A2EF4B6DB02872009745288CAD6C22D007A6B8E7EC797B9E47B419CC153A95A45C2C100EDCDDAEE4F8DEE863EC955F0495072A6DED553AECCF6EE03FC79052C677BA805CED264715A331F0FBA821AFDC91D5B8E5985D7E45FCC3A8A2FA4091402C6FD5D49D386F2BA7DBD842DC74D92406D7DB465FA441324CBBA7E0EFDF89E8A745819887FA86FAD71742AEE0915314234B7D9B883536F84647BDAD6E8292D2E399295B59559A910F57D96BA957FE1A078E28396917D87EAD806C04133DB6506C8CBE959FA0BC6E10355FA336F70E2CEA3175FFADE76BA2EC785D42863A89748C28CA49B540212973A4C9E881811EF94D07431FD358339E90DE0BCBA7AFB33B87D6F5D1C',1.79535867829999017716e+09,1.79535867846800374983e+09);
INSERT INTO "attempt" VALUES(4,4,1,1,'worker-1','carol@box','0e2dcf2c66fb7b766fac1ba008f13f18380eeb30f8d8471002dd40bad50f1bf9','ok','','login','[[15, "check-status", "ok", 17], [17, "set ********", "ok", 10], [19, "save", "ok", 1]]',X'012E81889039C225BD4A0D5E2790FF57430050E61134F382210342BE16AE8600277742C9E33C6200639804AD8D06AE2E4E2B79C35BDB0C5A300B5F99DF6943A39A32A84EF31A6733D5A74DE05DD3F0F306767CBFD52B77A38FDE298FEAFC3C1E40E9E7935F47A13A60E42E1CAB463606A285C8ABB2020D7BBF769F99C397A829368770CAFC38E24AC61344601B4E160175FCE77F31C9BF6AB972807C53BBAE7176ACF7D98A83827126BC773152D8C1630CBBDDD2CAE3D6F4BFD5FE93A7DA28DA4759808D89005F1A331ADFC92E5C6638C08EF2100F1E001641ABCC691608380AB2A691827A504D88782B9789E1E33BADDE60AD48F5EA859F76DE844AEA745FA9C03DC27AC4E19A71866D032E62B92E46EC3D1A42BE89C1D6E5A49516F88991A6DC69E7FBCA38F80022A0B0DBA31FEB419221BDC463AAD70FB013125CBA09B2CD6503795FC857B51562A2A6846B036D6F601A7C2060F229E3F602577DA25BF33CD801694DE7BDB9D3CE5448E838200B3AF3B78CD0948AD7F0CB951E5264494B36CD7C2FAD76DBEAC6DD75EF9D7EEA9CC8338188F12BBA9C7727C02F301FF359F8313C0B2AF30343ACC4B830E71FDD5348C19FF0C4714CD4271FFB6B23079239F7F168017715BF8337C647271D0453E38E5F3A21C0CF4715D30F3E9C90846E801C705276EE172D83',1.79535867856701755523e+09,1.79535867874199151989e+09);
INSERT INTO "attempt" VALUES(5,5,1,1,'worker-1','dora@box','0e2dcf2c66fb7b766fac1ba008f13f18380eeb30f8d8471002dd40bad50f1bf9',NULL,NULL,NULL,NULL,NULL,1.79535867881799197191e+09,NULL);
CREATE TABLE audit_chain (
	id INTEGER NOT NULL, 
	sequence INTEGER NOT NULL, 
	hash VARCHAR(64) NOT NULL, 
	CONSTRAINT pk_audit_chain PRIMARY KEY (id)
);
INSERT INTO "audit_chain" VALUES(1,56,'eb0cc3e5c6636d24a64973894cbe5415de8858a884e74a22d450db72521d9323');
CREATE TABLE audit_entry (
	id INTEGER NOT NULL, 
	at DOUBLE NOT NULL, 
	actor VARCHAR(255) NOT NULL, 
	action VARCHAR(64) NOT NULL, 
	object VARCHAR(512) NOT NULL, 
	operation_id INTEGER, 
	epoch INTEGER, 
	outcome VARCHAR(32), 
	details JSON NOT NULL, 
	sequence INTEGER, 
	previous_hash VARCHAR(64), 
	hash VARCHAR(64), 
	CONSTRAINT pk_audit_entry PRIMARY KEY (id), 
	CONSTRAINT uq_audit_entry_sequence UNIQUE (sequence)
);
INSERT INTO "audit_entry" VALUES(1,1.79535867401101732255e+09,'ann','zone.add','zone default',NULL,NULL,NULL,'{}',1,'0000000000000000000000000000000000000000000000000000000000000000','434726117d8aaab9c8ac99e38f7e01c80ad643e7f392efed1c449289ae5de0c0');
INSERT INTO "audit_entry" VALUES(2,1.79535867403801393509e+09,'ann','policy.add','policy default',NULL,NULL,NULL,'{}',2,'434726117d8aaab9c8ac99e38f7e01c80ad643e7f392efed1c449289ae5de0c0','47acefee4985a220d7dc189ad3ba223adfb9363bffd267fa8a61d7a9ee901dcd');
INSERT INTO "audit_entry" VALUES(3,1.79535867430298924445e+09,'ann','template.sync','template fake-by-admin',NULL,NULL,NULL,'{}',3,'47acefee4985a220d7dc189ad3ba223adfb9363bffd267fa8a61d7a9ee901dcd','98bc79321e59ad89f6f7499d207349b506df3921edd1ba8c62bc79ee8b23f166');
INSERT INTO "audit_entry" VALUES(4,1.79535867431501889226e+09,'ann','template.sync','template fake-own-password',NULL,NULL,NULL,'{}',4,'98bc79321e59ad89f6f7499d207349b506df3921edd1ba8c62bc79ee8b23f166','116f48fe9ee2023bf28857c6793e57d726fa7f97e3f4df2c1587268991a87470');
INSERT INTO "audit_entry" VALUES(5,1.79535867431598448757e+09,'ann','template.sync','template linux-by-root',NULL,NULL,NULL,'{}',5,'116f48fe9ee2023bf28857c6793e57d726fa7f97e3f4df2c1587268991a87470','6905a6f7fafb5a08b6048883e58f0d70d92fbd2b136db0272d054fb4b436b123');
INSERT INTO "audit_entry" VALUES(6,1.79535867431598448757e+09,'ann','template.sync','template linux-by-su',NULL,NULL,NULL,'{}',6,'6905a6f7fafb5a08b6048883e58f0d70d92fbd2b136db0272d054fb4b436b123','3baf29a8998a5fe3a70f5a0f0aeb281524a2ed0f1811741aaf84c695f2e7da81');
INSERT INTO "audit_entry" VALUES(7,1.79535867431598448757e+09,'ann','template.sync','template linux-by-sudoer',NULL,NULL,NULL,'{}',7,'3baf29a8998a5fe3a70f5a0f0aeb281524a2ed0f1811741aaf84c695f2e7da81','5adb0e419c37b9d4aad4c7935134df720f5e760aabe7b6c621cee4da2be81f2b');
INSERT INTO "audit_entry" VALUES(8,1.79535867431598448757e+09,'ann','template.sync','template linux-lock-by-root',NULL,NULL,NULL,'{}',8,'5adb0e419c37b9d4aad4c7935134df720f5e760aabe7b6c621cee4da2be81f2b','d38e1e95226f8dcfcff28f6cc8394e9e1fd6a4cb405d545363c800bbf82f4c3b');
INSERT INTO "audit_entry" VALUES(9,1.79535867431598448757e+09,'ann','template.sync','template linux-lock-by-sudoer',NULL,NULL,NULL,'{}',9,'d38e1e95226f8dcfcff28f6cc8394e9e1fd6a4cb405d545363c800bbf82f4c3b','d1d9baa77ab1a40d5b97deb0159c5bd0517db3b96dd07688ea69196a2c76a263');
INSERT INTO "audit_entry" VALUES(10,1.79535867431699037556e+09,'ann','template.sync','template linux-own-password',NULL,NULL,NULL,'{}',10,'d1d9baa77ab1a40d5b97deb0159c5bd0517db3b96dd07688ea69196a2c76a263','750e60eda6494f8d12c38e00986cbde691383063be11d85e1a65fb979ab70a33');
INSERT INTO "audit_entry" VALUES(11,1.79535867431699037556e+09,'ann','template.sync','template linux-status',NULL,NULL,NULL,'{}',11,'750e60eda6494f8d12c38e00986cbde691383063be11d85e1a65fb979ab70a33','231d5708c9586023fcce4390a5de46473995cca5f955fe7b735e73aca0e97be2');
INSERT INTO "audit_entry" VALUES(12,1.79535867431699037556e+09,'ann','template.sync','template linux-unlock-by-root',NULL,NULL,NULL,'{}',12,'231d5708c9586023fcce4390a5de46473995cca5f955fe7b735e73aca0e97be2','f4d93e0c61b82c9a878a17e8c636bdbb172aa4d05b9a08a4213eccd9e8c6881d');
INSERT INTO "audit_entry" VALUES(13,1.79535867431699037556e+09,'ann','template.sync','template linux-unlock-by-sudoer',NULL,NULL,NULL,'{}',13,'f4d93e0c61b82c9a878a17e8c636bdbb172aa4d05b9a08a4213eccd9e8c6881d','f12327d55e6d52a602f66332928de1d19d5c1c07786207ebe6927be557656838');
INSERT INTO "audit_entry" VALUES(14,1.79535867459500122068e+09,'ann','device.add','device box',NULL,NULL,NULL,'{"address": "target", "zone": "default", "host_keys": 0}',14,'f12327d55e6d52a602f66332928de1d19d5c1c07786207ebe6927be557656838','0b5ac40e45072c7df6df5c55222e6043e47f73756c167b69f9e17fd74a344f64');
INSERT INTO "audit_entry" VALUES(15,1.79535867492700529097e+09,'ann','policy.add','policy tries-1',NULL,NULL,NULL,'{}',15,'0b5ac40e45072c7df6df5c55222e6043e47f73756c167b69f9e17fd74a344f64','a77605d0c0a680db3e85cdfa0df8ffb171430a84347d301e33241a7baf1885aa');
INSERT INTO "audit_entry" VALUES(16,1.79535867497001433369e+09,'ann','policy.add','policy tries-2',NULL,NULL,NULL,'{}',16,'a77605d0c0a680db3e85cdfa0df8ffb171430a84347d301e33241a7baf1885aa','9e95a0baf843d19cf286f67b0f966cde75fda31a6e1cbf6f82e46d02db8491fd');
INSERT INTO "audit_entry" VALUES(17,1.79535867503000211723e+09,'engine','token.create','token 112757def5a327c8',NULL,NULL,NULL,'{"principal": "admin", "role": "admin", "expires": null}',17,'9e95a0baf843d19cf286f67b0f966cde75fda31a6e1cbf6f82e46d02db8491fd','0cb2d5a6083963b6b7e3b038de80150591c5a55f65ebc82e5abefdf442e5bf98');
INSERT INTO "audit_entry" VALUES(18,1.79535867511300301548e+09,'ann','credential.add','credential boss@box',NULL,NULL,NULL,'{"kind": "password", "auth": null, "parent": null, "link": null, "policy": "tries-2"}',18,'0cb2d5a6083963b6b7e3b038de80150591c5a55f65ebc82e5abefdf442e5bf98','d030b21ec492e6513975d23d7619c5bdab18b7c076ceb50d92a463c08f7b4469');
INSERT INTO "audit_entry" VALUES(19,1.79535867543398284908e+09,'ann','secret.imported','boss@box',NULL,NULL,NULL,'{"version": 1, "as": "current"}',19,'d030b21ec492e6513975d23d7619c5bdab18b7c076ceb50d92a463c08f7b4469','20c91ef24d1314e8fcddeb967be4321d6acc17dcf37222d53a7fbaa17410c240');
INSERT INTO "audit_entry" VALUES(20,1.79535867548499846455e+09,'ann','credential.add','credential ann@box',NULL,NULL,NULL,'{"kind": "password", "auth": null, "parent": null, "link": null, "policy": "tries-2"}',20,'20c91ef24d1314e8fcddeb967be4321d6acc17dcf37222d53a7fbaa17410c240','45e2755590757c2b98ac5a9c553a503d5e82b6875888c29604d7337b52a74e0e');
INSERT INTO "audit_entry" VALUES(21,1.79535867567501974105e+09,'ann','secret.imported','ann@box',NULL,NULL,NULL,'{"version": 1, "as": "current"}',21,'45e2755590757c2b98ac5a9c553a503d5e82b6875888c29604d7337b52a74e0e','ddc275300e3f838faa2edf56cb2e146d4c6d228142c7341f8d0c2086a2bce171');
INSERT INTO "audit_entry" VALUES(22,1.79535867584999346731e+09,'ann','credential.add','credential bob@box',NULL,NULL,NULL,'{"kind": "password", "auth": "boss@box", "parent": null, "link": null, "policy": "tries-2"}',22,'ddc275300e3f838faa2edf56cb2e146d4c6d228142c7341f8d0c2086a2bce171','5731f6760ab1e7c6f5d47001b22c0d88a54b0ab4086cc07339e007e3fe91b66a');
INSERT INTO "audit_entry" VALUES(23,1.79535867596200251583e+09,'ann','secret.imported','bob@box',NULL,NULL,NULL,'{"version": 1, "as": "current"}',23,'5731f6760ab1e7c6f5d47001b22c0d88a54b0ab4086cc07339e007e3fe91b66a','3c8a6f75d715e79c869fa6aab89617ca8b959af745bb37878d07346a114dfd6f');
INSERT INTO "audit_entry" VALUES(24,1.79535867601800703998e+09,'ann','credential.add','credential carol@box',NULL,NULL,NULL,'{"kind": "password", "auth": null, "parent": null, "link": null, "policy": "tries-2"}',24,'3c8a6f75d715e79c869fa6aab89617ca8b959af745bb37878d07346a114dfd6f','950f6a0ce13542c8b5c6c656f3f49e3a927de50f4a1319969a1eec8a1e4c29ba');
INSERT INTO "audit_entry" VALUES(25,1.79535867617000794412e+09,'ann','secret.imported','carol@box',NULL,NULL,NULL,'{"version": 1, "as": "current"}',25,'950f6a0ce13542c8b5c6c656f3f49e3a927de50f4a1319969a1eec8a1e4c29ba','aa38e3b51c959c0debec7aef2389add04e7861f1b0d88ea11b63773bc2d920df');
INSERT INTO "audit_entry" VALUES(26,1.79535867619000387191e+09,'ann','credential.add','credential dora@box',NULL,NULL,NULL,'{"kind": "password", "auth": null, "parent": null, "link": null, "policy": "tries-2"}',26,'aa38e3b51c959c0debec7aef2389add04e7861f1b0d88ea11b63773bc2d920df','6a4fb0fbc91ed6586daa59beb7a64d9d3a1031e48f3e6274ca460c0b81ebd549');
INSERT INTO "audit_entry" VALUES(27,1.79535867717000246048e+09,'ann','secret.imported','dora@box',NULL,NULL,NULL,'{"version": 1, "as": "current"}',27,'6a4fb0fbc91ed6586daa59beb7a64d9d3a1031e48f3e6274ca460c0b81ebd549','7bf4128722ad03a1887adeab8498b5077b9b27d087064347477ae9f869297df9');
INSERT INTO "audit_entry" VALUES(28,1.7953586773339927197e+09,'ann','operation.requested','ann@box',1,NULL,NULL,'{"action": "change_secret", "trigger": "manual"}',28,'7bf4128722ad03a1887adeab8498b5077b9b27d087064347477ae9f869297df9','509c7c8ac037f82a8f796ffa30fe4477adf4baf3736deec8210c0d3b5bd52748');
INSERT INTO "audit_entry" VALUES(29,1.7953586774900169372e+09,'worker:worker-1','operation.claimed','ann@box',1,1,NULL,'{"action": "change_secret", "attempt": 1}',29,'509c7c8ac037f82a8f796ffa30fe4477adf4baf3736deec8210c0d3b5bd52748','4ae7827bc8cee6f53f44381126b7a08b086669a1c9303472a3e9c76696b96abe');
INSERT INTO "audit_entry" VALUES(30,1.79535867758198976521e+09,'worker:worker-1','secret.candidate','ann@box',1,1,NULL,'{"version": 2}',30,'4ae7827bc8cee6f53f44381126b7a08b086669a1c9303472a3e9c76696b96abe','4d904252bfda0832cc4a0c5cf71afecb5b03bf480aca27b487b60c85e93ce87f');
INSERT INTO "audit_entry" VALUES(31,1.79535867770598840708e+09,'worker:worker-1','secret.sent','ann@box',1,1,NULL,'{"version": 2}',31,'4d904252bfda0832cc4a0c5cf71afecb5b03bf480aca27b487b60c85e93ce87f','a9a6cca0154ea66b717f148d7dc15af182dced35ff70fe669889a8d1a486ff3e');
INSERT INTO "audit_entry" VALUES(32,1.79535867782898092264e+09,'worker:worker-1','secret.committed','ann@box',1,1,'ok','{"version": 2, "proof": "login"}',32,'a9a6cca0154ea66b717f148d7dc15af182dced35ff70fe669889a8d1a486ff3e','7d1dcd43a68bffe181da8e6bb3da23185a4b9eca06355e4e0a8217be2dc2fd5d');
INSERT INTO "audit_entry" VALUES(33,1.79535867789500355718e+09,'worker:worker-1','operation.succeeded','ann@box',1,1,'ok','{"reason": ""}',33,'7d1dcd43a68bffe181da8e6bb3da23185a4b9eca06355e4e0a8217be2dc2fd5d','253a0c6db7f256baf0a175f4288d0ebfbded89c88b8dda1b545649076017d9f5');
INSERT INTO "audit_entry" VALUES(34,1.79535867794199585916e+09,'ann','operation.requested','bob@box',2,NULL,NULL,'{"action": "change_secret", "trigger": "manual"}',34,'253a0c6db7f256baf0a175f4288d0ebfbded89c88b8dda1b545649076017d9f5','c723692b6a3aedc418866b654f1b1d105736ab9ee63deea36e806ae255d4291f');
INSERT INTO "audit_entry" VALUES(35,1.79535867804000377661e+09,'worker:worker-1','operation.claimed','bob@box',2,1,NULL,'{"action": "change_secret", "attempt": 1}',35,'c723692b6a3aedc418866b654f1b1d105736ab9ee63deea36e806ae255d4291f','5cf15417211734dff03a1b8a4de3d293a9eecef32b41dd8f458de2b027043ba0');
INSERT INTO "audit_entry" VALUES(36,1.79535867809600830071e+09,'worker:worker-1','secret.candidate','bob@box',2,1,NULL,'{"version": 2}',36,'5cf15417211734dff03a1b8a4de3d293a9eecef32b41dd8f458de2b027043ba0','b22f2cf801dc10b6badae0aa9c8809e98ee82faf77dc248e7370821f551bbdd1');
INSERT INTO "audit_entry" VALUES(37,1.79535867817200875287e+09,'worker:worker-1','secret.sent','bob@box',2,1,NULL,'{"version": 2}',37,'b22f2cf801dc10b6badae0aa9c8809e98ee82faf77dc248e7370821f551bbdd1','822660d64053feef43199e27977f644d7d2083b1fed6ef9af191c135855e21a0');
INSERT INTO "audit_entry" VALUES(38,1.79535867822298407557e+09,'worker:worker-1','secret.committed','bob@box',2,1,'ok','{"version": 2, "proof": "login"}',38,'822660d64053feef43199e27977f644d7d2083b1fed6ef9af191c135855e21a0','ce747c23982a7b38e64e745efb505eefeacf6327f4acfd0c15296fd82cacef54');
INSERT INTO "audit_entry" VALUES(39,1.79535867823899698263e+09,'worker:worker-1','operation.succeeded','bob@box',2,1,'ok','{"reason": ""}',39,'ce747c23982a7b38e64e745efb505eefeacf6327f4acfd0c15296fd82cacef54','0c05aef0a22226af70a0d920fd6d3faca1a0338905a400f8869647c3e97b06fb');
INSERT INTO "audit_entry" VALUES(40,1.7953586782719879151e+09,'ann','operation.requested','ann@box',3,NULL,NULL,'{"action": "change_secret", "trigger": "manual"}',40,'0c05aef0a22226af70a0d920fd6d3faca1a0338905a400f8869647c3e97b06fb','883a280e45f416c9392b8d2241e07dfbfa9cc2a76cc5cf1e21fcb88e166b4a8b');
INSERT INTO "audit_entry" VALUES(41,1.79535867829999017716e+09,'worker:worker-1','operation.claimed','ann@box',3,2,NULL,'{"action": "change_secret", "attempt": 1}',41,'883a280e45f416c9392b8d2241e07dfbfa9cc2a76cc5cf1e21fcb88e166b4a8b','b164ee6fc9133a40141186da0f51b192adf986a08952d3aa8291d41b41188acf');
INSERT INTO "audit_entry" VALUES(42,1.79535867833801054951e+09,'worker:worker-1','secret.candidate','ann@box',3,2,NULL,'{"version": 3}',42,'b164ee6fc9133a40141186da0f51b192adf986a08952d3aa8291d41b41188acf','d7288b7e2cf0a3e304757e6b743bc841f257ea4298ca81f7c259cd4bfc74f775');
INSERT INTO "audit_entry" VALUES(43,1.79535867837800240513e+09,'worker:worker-1','secret.sent','ann@box',3,2,NULL,'{"version": 3}',43,'d7288b7e2cf0a3e304757e6b743bc841f257ea4298ca81f7c259cd4bfc74f775','d50148ac8964864dfcc0d6ed055153cd196e9abff8da627364a2be13fe0c41ae');
INSERT INTO "audit_entry" VALUES(44,1.79535867843501281736e+09,'worker:worker-1','secret.committed','ann@box',3,2,'ok','{"version": 3, "proof": "login"}',44,'d50148ac8964864dfcc0d6ed055153cd196e9abff8da627364a2be13fe0c41ae','aebc2f1c63600b944122ed5eb0fcca8178111c4e008c1863c983ae6d042dca4c');
INSERT INTO "audit_entry" VALUES(45,1.79535867846900963782e+09,'worker:worker-1','operation.succeeded','ann@box',3,2,'ok','{"reason": ""}',45,'aebc2f1c63600b944122ed5eb0fcca8178111c4e008c1863c983ae6d042dca4c','de42778e507596de3ce744075a5aab6f336f34929618946f02a52652c13ec752');
INSERT INTO "audit_entry" VALUES(46,1.79535867852300262455e+09,'ann','operation.requested','carol@box',4,NULL,NULL,'{"action": "change_secret", "trigger": "manual"}',46,'de42778e507596de3ce744075a5aab6f336f34929618946f02a52652c13ec752','2a5b47b2908dd1aa5b03f381fb7b94f06daab9b4d801a4fc22d31c26dde51606');
INSERT INTO "audit_entry" VALUES(47,1.79535867856701755523e+09,'worker:worker-1','operation.claimed','carol@box',4,1,NULL,'{"action": "change_secret", "attempt": 1}',47,'2a5b47b2908dd1aa5b03f381fb7b94f06daab9b4d801a4fc22d31c26dde51606','b4fc235528d75e3aa85cd295301d188851d5736b94416cf52925b1a2acaf77c8');
INSERT INTO "audit_entry" VALUES(48,1.79535867860898065567e+09,'worker:worker-1','secret.candidate','carol@box',4,1,NULL,'{"version": 2}',48,'b4fc235528d75e3aa85cd295301d188851d5736b94416cf52925b1a2acaf77c8','6670a5c48f2e06419a604897a28b4cdbbad9bb12a64e4e65fb6db6175ca22915');
INSERT INTO "audit_entry" VALUES(49,1.79535867867701506611e+09,'worker:worker-1','secret.sent','carol@box',4,1,NULL,'{"version": 2}',49,'6670a5c48f2e06419a604897a28b4cdbbad9bb12a64e4e65fb6db6175ca22915','0c9cea2596ea0c93434ba0ba51f1a86fb69aeebba28f67e035609d3b8e6140c1');
INSERT INTO "audit_entry" VALUES(50,1.79535867872799038882e+09,'worker:worker-1','secret.committed','carol@box',4,1,'ok','{"version": 2, "proof": "login"}',50,'0c9cea2596ea0c93434ba0ba51f1a86fb69aeebba28f67e035609d3b8e6140c1','826218717d21182b72e36aa3e18535958862f020864dd4f7f4e67f3df1267807');
INSERT INTO "audit_entry" VALUES(51,1.79535867874199151989e+09,'worker:worker-1','operation.succeeded','carol@box',4,1,'ok','{"reason": ""}',51,'826218717d21182b72e36aa3e18535958862f020864dd4f7f4e67f3df1267807','71d0537954d9ec6357e47d879efcea4889b64d8aced7a17a8aa79fd87b295c55');
INSERT INTO "audit_entry" VALUES(52,1.79535867879598426822e+09,'ann','operation.requested','dora@box',5,NULL,NULL,'{"action": "change_secret", "trigger": "manual"}',52,'71d0537954d9ec6357e47d879efcea4889b64d8aced7a17a8aa79fd87b295c55','3b85ad11621813b52d067b218db5c8a0f2b4e1e370fdee2fc8eac11842d11e50');
INSERT INTO "audit_entry" VALUES(53,1.79535867881799197191e+09,'worker:worker-1','operation.claimed','dora@box',5,1,NULL,'{"action": "change_secret", "attempt": 1}',53,'3b85ad11621813b52d067b218db5c8a0f2b4e1e370fdee2fc8eac11842d11e50','e1e46481f846fbed8614867c2ca177398d3dc486b3ad9dc67f6bb22f26acdbac');
INSERT INTO "audit_entry" VALUES(54,1.7953586788729906082e+09,'worker:worker-1','secret.candidate','dora@box',5,1,NULL,'{"version": 2}',54,'e1e46481f846fbed8614867c2ca177398d3dc486b3ad9dc67f6bb22f26acdbac','685cdaa2465762c75ec786f315229217ccdf29b9eb10234d072832a5e1bceaa3');
INSERT INTO "audit_entry" VALUES(55,1.79535867894199037547e+09,'worker:worker-1','secret.sent','dora@box',5,1,NULL,'{"version": 2}',55,'685cdaa2465762c75ec786f315229217ccdf29b9eb10234d072832a5e1bceaa3','c5953ca95768cde9d14291da54e4ffd42a507a1580346e07ee80f3861873ca58');
INSERT INTO "audit_entry" VALUES(56,1.79535867899501776698e+09,'ann','operation.requested','bob@box',6,NULL,NULL,'{"action": "change_secret", "trigger": "manual"}',56,'c5953ca95768cde9d14291da54e4ffd42a507a1580346e07ee80f3861873ca58','eb0cc3e5c6636d24a64973894cbe5415de8858a884e74a22d450db72521d9323');
INSERT INTO "audit_entry" VALUES(57,1.79535867912501096721e+09,'ann','operation.requested','carol@box',7,NULL,NULL,'{"action": "verify", "trigger": "manual"}',NULL,NULL,NULL);
CREATE TABLE authority (
	id INTEGER NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	created DOUBLE NOT NULL, 
	CONSTRAINT pk_authority PRIMARY KEY (id), 
	CONSTRAINT uq_authority_name UNIQUE (name)
);
INSERT INTO "authority" VALUES(1,'box',1.79535867456201028821e+09);
CREATE TABLE "cascade" (
	id INTEGER NOT NULL, 
	credential_id INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	operation_id INTEGER NOT NULL, 
	depth INTEGER NOT NULL, 
	expanded_to INTEGER NOT NULL, 
	done BOOLEAN NOT NULL, 
	CONSTRAINT pk_cascade PRIMARY KEY (id), 
	CONSTRAINT fk_cascade_credential_id FOREIGN KEY(credential_id) REFERENCES credential (id), 
	CONSTRAINT fk_cascade_operation_id FOREIGN KEY(operation_id) REFERENCES operation (id), 
	CONSTRAINT uq_cascade_credential_id_version UNIQUE (credential_id, version)
);
CREATE TABLE credential (
	id INTEGER NOT NULL, 
	account_id INTEGER NOT NULL, 
	device_id INTEGER NOT NULL, 
	username VARCHAR(255) NOT NULL, 
	domain VARCHAR(255) NOT NULL, 
	kind VARCHAR(32) NOT NULL, 
	service VARCHAR(64) NOT NULL, 
	identifier VARCHAR(255), 
	additional VARCHAR(4096) NOT NULL, 
	tags JSON NOT NULL, 
	state VARCHAR(32) NOT NULL, 
	reason VARCHAR(500), 
	since DOUBLE NOT NULL, 
	enabled BOOLEAN NOT NULL, 
	policy_id INTEGER NOT NULL, 
	template VARCHAR(128), 
	auth_id INTEGER, 
	become_id INTEGER, 
	reconcile_id INTEGER, 
	parent_id INTEGER, 
	link VARCHAR(8), 
	parent_version INTEGER, 
	next_due DOUBLE, 
	created DOUBLE NOT NULL, 
	CONSTRAINT pk_credential PRIMARY KEY (id), 
	CONSTRAINT fk_credential_account_id FOREIGN KEY(account_id) REFERENCES account (id), 
	CONSTRAINT fk_credential_auth_id FOREIGN KEY(auth_id) REFERENCES credential (id), 
	CONSTRAINT fk_credential_become_id FOREIGN KEY(become_id) REFERENCES credential (id), 
	CONSTRAINT fk_credential_device_id FOREIGN KEY(device_id) REFERENCES device (id), 
	CONSTRAINT fk_credential_parent_id FOREIGN KEY(parent_id) REFERENCES credential (id), 
	CONSTRAINT fk_credential_policy_id FOREIGN KEY(policy_id) REFERENCES policy (id), 
	CONSTRAINT fk_credential_reconcile_id FOREIGN KEY(reconcile_id) REFERENCES credential (id), 
	CONSTRAINT uq_credential_account_id_kind_service UNIQUE (account_id, kind, service)
);
INSERT INTO "credential" VALUES(1,1,1,'boss','','password','',NULL,'','[]','managed',NULL,1.79535867543301725385e+09,1,3,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1.79535867511199712749e+09);
INSERT INTO "credential" VALUES(2,2,1,'ann','','password','',NULL,'','[]','managed',NULL,1.79535867843501281736e+09,1,3,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1.79535867548499846455e+09);
INSERT INTO "credential" VALUES(3,3,1,'bob','','password','',NULL,'','[]','managed',NULL,1.79535867822298407557e+09,1,3,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,1.79535867573601293561e+09);
INSERT INTO "credential" VALUES(4,4,1,'carol','','password','',NULL,'','[]','managed',NULL,1.79535867872799038882e+09,1,3,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1.79535867601800703998e+09);
INSERT INTO "credential" VALUES(5,5,1,'dora','','password','',NULL,'','[]','changing',NULL,1.79535867881899785991e+09,1,3,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1.79535867619000387191e+09);
CREATE TABLE device (
	id INTEGER NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	authority_id INTEGER NOT NULL, 
	zone_id INTEGER NOT NULL, 
	address VARCHAR(4096) NOT NULL, 
	ports JSON NOT NULL, 
	site VARCHAR(64) NOT NULL, 
	vendor VARCHAR(64) NOT NULL, 
	model VARCHAR(64) NOT NULL, 
	type VARCHAR(64) NOT NULL, 
	domain VARCHAR(255) NOT NULL, 
	tags JSON NOT NULL, 
	connection_limit INTEGER NOT NULL, 
	jump_credential_id INTEGER, 
	paused BOOLEAN NOT NULL, 
	pause_reason VARCHAR(200), 
	created DOUBLE NOT NULL, 
	CONSTRAINT pk_device PRIMARY KEY (id), 
	CONSTRAINT fk_device_authority_id FOREIGN KEY(authority_id) REFERENCES authority (id), 
	CONSTRAINT fk_device_zone_id FOREIGN KEY(zone_id) REFERENCES zone (id), 
	CONSTRAINT uq_device_name UNIQUE (name)
);
INSERT INTO "device" VALUES(1,'box',1,1,'target','{"fake": 1}','','','','','','[]',4,NULL,0,NULL,1.79535867459399557113e+09);
CREATE TABLE engine_state (
	id INTEGER NOT NULL, 
	incarnation VARCHAR(32) NOT NULL, 
	restored BOOLEAN NOT NULL, 
	paused BOOLEAN NOT NULL, 
	pause_reason VARCHAR(200), 
	clock_high DOUBLE NOT NULL, 
	CONSTRAINT pk_engine_state PRIMARY KEY (id)
);
INSERT INTO "engine_state" VALUES(1,'4edea23647c11a8d1ec69a28a4c4d652',0,0,NULL,1795358674.008);
CREATE TABLE host_key (
	id INTEGER NOT NULL, 
	device_id INTEGER NOT NULL, 
	line VARCHAR(4096) NOT NULL, 
	trusted_by VARCHAR(255) NOT NULL, 
	trusted_at DOUBLE NOT NULL, 
	CONSTRAINT pk_host_key PRIMARY KEY (id), 
	CONSTRAINT fk_host_key_device_id FOREIGN KEY(device_id) REFERENCES device (id), 
	CONSTRAINT uq_host_key_device_id_line UNIQUE (device_id, line)
);
CREATE TABLE operation (
	id INTEGER NOT NULL, 
	credential_id INTEGER NOT NULL, 
	account_id INTEGER NOT NULL, 
	device_id INTEGER NOT NULL, 
	zone_id INTEGER NOT NULL, 
	action VARCHAR(32) NOT NULL, 
	state VARCHAR(32) NOT NULL, 
	outcome VARCHAR(32), 
	reason VARCHAR(1000), 
	"trigger" VARCHAR(32) NOT NULL, 
	requester VARCHAR(255) NOT NULL, 
	callback VARCHAR(2048), 
	priority INTEGER NOT NULL, 
	due DOUBLE NOT NULL, 
	expires DOUBLE, 
	needs_person BOOLEAN NOT NULL, 
	cancel_requested BOOLEAN NOT NULL, 
	parent_operation_id INTEGER, 
	epoch INTEGER, 
	lease_until DOUBLE, 
	attempts INTEGER NOT NULL, 
	template_id INTEGER, 
	template_sha256 VARCHAR(64), 
	committed BOOLEAN NOT NULL, 
	resent INTEGER NOT NULL, 
	regenerated INTEGER NOT NULL, 
	refused JSON NOT NULL, 
	reply VARCHAR(16), 
	found VARCHAR(32), 
	created DOUBLE NOT NULL, 
	started DOUBLE, 
	finished DOUBLE, 
	CONSTRAINT pk_operation PRIMARY KEY (id), 
	CONSTRAINT fk_operation_account_id FOREIGN KEY(account_id) REFERENCES account (id), 
	CONSTRAINT fk_operation_credential_id FOREIGN KEY(credential_id) REFERENCES credential (id), 
	CONSTRAINT fk_operation_device_id FOREIGN KEY(device_id) REFERENCES device (id), 
	CONSTRAINT fk_operation_parent_operation_id FOREIGN KEY(parent_operation_id) REFERENCES operation (id), 
	CONSTRAINT fk_operation_zone_id FOREIGN KEY(zone_id) REFERENCES zone (id)
);
INSERT INTO "operation" VALUES(1,2,2,1,1,'change_secret','succeeded','ok',NULL,'manual','ann',NULL,0,1.7953586773329868317e+09,NULL,0,0,NULL,1,NULL,1,2,'0e2dcf2c66fb7b766fac1ba008f13f18380eeb30f8d8471002dd40bad50f1bf9',1,0,0,'[]','ok','managed',1.7953586773329868317e+09,1.79535867748699927331e+09,1.79535867789399766923e+09);
INSERT INTO "operation" VALUES(2,3,3,1,1,'change_secret','succeeded','ok',NULL,'manual','ann',NULL,0,1.79535867794199585916e+09,NULL,0,0,NULL,1,NULL,1,1,'2a7d03f3d80d77cc3b443ba15661a214ec2cb9998a82dd4562268f42dc93fc9c',1,0,0,'[]','ok','managed',1.79535867794199585916e+09,1.79535867803899788861e+09,1.79535867823799109455e+09);
INSERT INTO "operation" VALUES(3,2,2,1,1,'change_secret','succeeded','ok',NULL,'manual','ann',NULL,0,1.79535867825899267194e+09,NULL,0,0,NULL,2,NULL,1,2,'0e2dcf2c66fb7b766fac1ba008f13f18380eeb30f8d8471002dd40bad50f1bf9',1,0,0,'[]','ok','managed',1.79535867825899267194e+09,1.7953586782989845276e+09,1.79535867846900963782e+09);
INSERT INTO "operation" VALUES(4,4,4,1,1,'change_secret','succeeded','ok',NULL,'manual','ann','https://example.test/carol',0,1.79535867852300262455e+09,NULL,0,0,NULL,1,NULL,1,2,'0e2dcf2c66fb7b766fac1ba008f13f18380eeb30f8d8471002dd40bad50f1bf9',1,0,0,'[]','ok','managed',1.79535867852300262455e+09,1.79535867856601190567e+09,1.79535867874199151989e+09);
INSERT INTO "operation" VALUES(5,5,5,1,1,'change_secret','running',NULL,NULL,'manual','ann',NULL,0,1.79535867879598426822e+09,NULL,0,0,NULL,1,1.795358978817991972e+09,1,2,'0e2dcf2c66fb7b766fac1ba008f13f18380eeb30f8d8471002dd40bad50f1bf9',0,0,0,'[]',NULL,'managed',1.79535867879598426822e+09,1.79535867881799197191e+09,NULL);
INSERT INTO "operation" VALUES(6,3,3,1,1,'change_secret','scheduled',NULL,NULL,'manual','ann','https://example.test/bob',0,1.79535867899501776698e+09,NULL,0,0,NULL,NULL,NULL,0,NULL,NULL,0,0,0,'[]',NULL,NULL,1.79535867899501776698e+09,NULL,NULL);
INSERT INTO "operation" VALUES(7,4,4,1,1,'verify','scheduled',NULL,NULL,'manual','ann',NULL,0,1.79535867912501096721e+09,NULL,0,0,NULL,NULL,NULL,0,NULL,NULL,0,0,0,'[]',NULL,NULL,1.79535867912501096721e+09,NULL,NULL);
CREATE TABLE outbox (
	id INTEGER NOT NULL, 
	at DOUBLE NOT NULL, 
	kind VARCHAR(64) NOT NULL, 
	operation_id INTEGER, 
	payload JSON NOT NULL, 
	callback TEXT, 
	delivered DOUBLE, 
	tries INTEGER NOT NULL, 
	due DOUBLE NOT NULL, 
	CONSTRAINT pk_outbox PRIMARY KEY (id)
);
INSERT INTO "outbox" VALUES(1,1.79535867735398864744e+09,'operation.accepted',1,'{"credential": "ann@box", "action": "change_secret", "state": "accepted", "trigger": "manual"}',NULL,NULL,0,1.79535867735398864744e+09);
INSERT INTO "outbox" VALUES(2,1.79535867748901104921e+09,'operation.running',1,'{"credential": "ann@box", "action": "change_secret", "state": "running", "outcome": null}',NULL,NULL,0,1.79535867748901104921e+09);
INSERT INTO "outbox" VALUES(3,1.79535867789500355718e+09,'operation.succeeded',1,'{"credential": "ann@box", "action": "change_secret", "state": "succeeded", "outcome": "ok"}',NULL,NULL,0,1.79535867789500355718e+09);
INSERT INTO "outbox" VALUES(4,1.79535867794300174711e+09,'operation.accepted',2,'{"credential": "bob@box", "action": "change_secret", "state": "accepted", "trigger": "manual"}',NULL,NULL,0,1.79535867794300174711e+09);
INSERT INTO "outbox" VALUES(5,1.79535867804000377661e+09,'operation.running',2,'{"credential": "bob@box", "action": "change_secret", "state": "running", "outcome": null}',NULL,NULL,0,1.79535867804000377661e+09);
INSERT INTO "outbox" VALUES(6,1.79535867823899698263e+09,'operation.succeeded',2,'{"credential": "bob@box", "action": "change_secret", "state": "succeeded", "outcome": "ok"}',NULL,NULL,0,1.79535867823899698263e+09);
INSERT INTO "outbox" VALUES(7,1.7953586782719879151e+09,'operation.accepted',3,'{"credential": "ann@box", "action": "change_secret", "state": "accepted", "trigger": "manual"}',NULL,NULL,0,1.7953586782719879151e+09);
INSERT INTO "outbox" VALUES(8,1.79535867829999017716e+09,'operation.running',3,'{"credential": "ann@box", "action": "change_secret", "state": "running", "outcome": null}',NULL,NULL,0,1.79535867829999017716e+09);
INSERT INTO "outbox" VALUES(9,1.79535867846900963782e+09,'operation.succeeded',3,'{"credential": "ann@box", "action": "change_secret", "state": "succeeded", "outcome": "ok"}',NULL,NULL,0,1.79535867846900963782e+09);
INSERT INTO "outbox" VALUES(10,1.79535867853800964362e+09,'operation.accepted',4,'{"credential": "carol@box", "action": "change_secret", "state": "accepted", "trigger": "manual"}','https://example.test/carol',NULL,0,1.79535867853800964362e+09);
INSERT INTO "outbox" VALUES(11,1.79535867856701755523e+09,'operation.running',4,'{"credential": "carol@box", "action": "change_secret", "state": "running", "outcome": null}',NULL,NULL,0,1.79535867856701755523e+09);
INSERT INTO "outbox" VALUES(12,1.79535867856701755523e+09,'operation.requester',4,'{"credential": "carol@box", "action": "change_secret", "state": "running", "outcome": null}','https://example.test/carol',NULL,0,1.79535867856701755523e+09);
INSERT INTO "outbox" VALUES(13,1.79535867874299740788e+09,'operation.succeeded',4,'{"credential": "carol@box", "action": "change_secret", "state": "succeeded", "outcome": "ok"}',NULL,NULL,0,1.79535867874299740788e+09);
INSERT INTO "outbox" VALUES(14,1.79535867874299740788e+09,'operation.requester',4,'{"credential": "carol@box", "action": "change_secret", "state": "succeeded", "outcome": "ok"}','https://example.test/carol',NULL,0,1.79535867874299740788e+09);
INSERT INTO "outbox" VALUES(15,1.79535867879598426822e+09,'operation.accepted',5,'{"credential": "dora@box", "action": "change_secret", "state": "accepted", "trigger": "manual"}',NULL,NULL,0,1.79535867879598426822e+09);
INSERT INTO "outbox" VALUES(16,1.79535867881799197191e+09,'operation.running',5,'{"credential": "dora@box", "action": "change_secret", "state": "running", "outcome": null}',NULL,NULL,0,1.79535867881799197191e+09);
INSERT INTO "outbox" VALUES(17,1.79535867899501776698e+09,'operation.accepted',6,'{"credential": "bob@box", "action": "change_secret", "state": "accepted", "trigger": "manual"}','https://example.test/bob',NULL,0,1.79535867899501776698e+09);
INSERT INTO "outbox" VALUES(18,1.7953586791260168552e+09,'operation.accepted',7,'{"credential": "carol@box", "action": "verify", "state": "accepted", "trigger": "manual"}',NULL,NULL,0,1.7953586791260168552e+09);
CREATE TABLE policy (
	id INTEGER NOT NULL, 
	name VARCHAR(64) NOT NULL, 
	rules JSON NOT NULL, 
	created DOUBLE NOT NULL, 
	CONSTRAINT pk_policy PRIMARY KEY (id), 
	CONSTRAINT uq_policy_name UNIQUE (name)
);
INSERT INTO "policy" VALUES(1,'default','{"generator": {"length": 24, "alphabet": "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.+:,=%@", "exclude": "", "min_lower": 1, "min_upper": 1, "min_digit": 1, "min_symbol": 1, "first": "letter", "max_repeat": 2}, "retry": {"attempts": 5, "base_seconds": 30.0, "cap_seconds": 3600.0}, "lockout": {"threshold": null, "window_seconds": 1800.0}, "settle_seconds": 0.0, "overlap_seconds": 0.0}',1.79535867403801393509e+09);
INSERT INTO "policy" VALUES(2,'tries-1','{"generator": {"length": 24, "alphabet": "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.+:,=%@", "exclude": "", "min_lower": 1, "min_upper": 1, "min_digit": 1, "min_symbol": 1, "first": "letter", "max_repeat": 2}, "retry": {"attempts": 5, "base_seconds": 30.0, "cap_seconds": 3600.0}, "lockout": {"threshold": 3, "window_seconds": 1800.0}, "settle_seconds": 0.0, "overlap_seconds": 0.0}',1.79535867492599940297e+09);
INSERT INTO "policy" VALUES(3,'tries-2','{"generator": {"length": 24, "alphabet": "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.+:,=%@", "exclude": "", "min_lower": 1, "min_upper": 1, "min_digit": 1, "min_symbol": 1, "first": "letter", "max_repeat": 2}, "retry": {"attempts": 5, "base_seconds": 30.0, "cap_seconds": 3600.0}, "lockout": {"threshold": 4, "window_seconds": 1800.0}, "settle_seconds": 0.0, "overlap_seconds": 0.0}',1.79535867497001433369e+09);
CREATE TABLE profile (
	id INTEGER NOT NULL, 
	name VARCHAR(64) NOT NULL, 
	priority INTEGER NOT NULL, 
	rules JSON NOT NULL, 
	created DOUBLE NOT NULL, 
	CONSTRAINT pk_profile PRIMARY KEY (id), 
	CONSTRAINT uq_profile_name UNIQUE (name)
);
CREATE TABLE request (
	id INTEGER NOT NULL, 
	operation_id INTEGER NOT NULL, 
	requester VARCHAR(255) NOT NULL, 
	"trigger" VARCHAR(32) NOT NULL, 
	idempotency_key VARCHAR(128), 
	joined BOOLEAN NOT NULL, 
	callback VARCHAR(2048), 
	created DOUBLE NOT NULL, 
	CONSTRAINT pk_request PRIMARY KEY (id), 
	CONSTRAINT fk_request_operation_id FOREIGN KEY(operation_id) REFERENCES operation (id)
);
INSERT INTO "request" VALUES(1,1,'ann','manual',NULL,0,NULL,1.79535867735298275945e+09);
INSERT INTO "request" VALUES(2,2,'ann','manual',NULL,0,NULL,1.79535867794300174711e+09);
INSERT INTO "request" VALUES(3,3,'ann','manual',NULL,0,NULL,1.7953586782719879151e+09);
INSERT INTO "request" VALUES(4,4,'ann','manual','one',0,'https://example.test/carol',1.79535867852300262455e+09);
INSERT INTO "request" VALUES(5,5,'ann','manual',NULL,0,NULL,1.79535867879598426822e+09);
INSERT INTO "request" VALUES(6,6,'ann','manual',NULL,0,'https://example.test/bob',1.79535867899501776698e+09);
INSERT INTO "request" VALUES(7,7,'ann','manual',NULL,0,NULL,1.7953586791260168552e+09);
CREATE TABLE reveal_request (
	id INTEGER NOT NULL, 
	credential_id INTEGER NOT NULL, 
	number INTEGER, 
	attempt_id INTEGER, 
	public_key BLOB NOT NULL, 
	principal VARCHAR(255) NOT NULL, 
	reason VARCHAR(500) NOT NULL, 
	candidate BOOLEAN NOT NULL, 
	sealed BLOB, 
	refused VARCHAR(500), 
	expires DOUBLE NOT NULL, 
	CONSTRAINT pk_reveal_request PRIMARY KEY (id), 
	CONSTRAINT fk_reveal_request_credential_id FOREIGN KEY(credential_id) REFERENCES credential (id)
);
CREATE TABLE secret_version (
	id INTEGER NOT NULL, 
	credential_id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	origin VARCHAR(16) NOT NULL, 
	sealed BLOB NOT NULL, 
	key_id VARCHAR(64) NOT NULL, 
	digest VARCHAR(32) NOT NULL, 
	parent_version INTEGER, 
	proof VARCHAR(16), 
	created DOUBLE NOT NULL, 
	sent_at DOUBLE, 
	proven_at DOUBLE, 
	CONSTRAINT pk_secret_version PRIMARY KEY (id), 
	CONSTRAINT fk_secret_version_credential_id FOREIGN KEY(credential_id) REFERENCES credential (id), 
	CONSTRAINT uq_secret_version_credential_id_digest UNIQUE (credential_id, digest), 
	CONSTRAINT uq_secret_version_credential_id_number UNIQUE (credential_id, number)
);
INSERT INTO "secret_version" VALUES(1,1,1,'current','imported',X'012E81889039C225BD4A0D5E2790FF574300505561A9633F04421983E198F91D73623B80C2933CD57CE444CC948485D01F80161DA3565CB770A744E1FE3C668D2832B47EEE13A5C1407B76FD394FF1709E452E42ABB3E6D982153D8316A198A9169915506191F2E01E4B241309F33867D6CEAFB3B3C74896F99D807A80EAD6E8DDA64BD393A59D271843FE08','2e81889039c225bd4a0d5e2790ff5743','09abcb8693989877f924532742c28c7b',NULL,NULL,1.7953586754320116043e+09,NULL,1.79535867543498873707e+09);
INSERT INTO "secret_version" VALUES(2,2,1,'history','imported',X'012E81889039C225BD4A0D5E2790FF57430050B6CC1F58BB3D8D795EAA9DF181F5F3C6A3AA88D90D927F06E030FB9F0927621A704153CA18F2AE9F075A848FAC8D322B4746F771833615A5A186F184096626608E3C151E32302EEDBB69B66223CD8A6832966B08F9F699E5A7974E755C17C6300D43D8F70E1AF87C9E50A96A8AAD8A5F42BBF4E4DA1B6BD5','2e81889039c225bd4a0d5e2790ff5743','a20b0d0738476823517a72e36713e8b9',NULL,NULL,1.79535867567401385309e+09,NULL,1.79535867570201611515e+09);
INSERT INTO "secret_version" VALUES(3,3,1,'previous','imported',X'012E81889039C225BD4A0D5E2790FF574300503C17E9ADC8A240097BE3AFE97A20CEF90645AF2ADCD4DE2423AAB1E7F05B181F4A2DA81B9A81E77910E17BC06C887A6B032A8F7F9D2F6558DC04E7F6BBD39AA71988FE03BC61CA3E87E4BEB41C340419DC6AA221D357239BA1D4D82022473090D597859DA8DD5A9C88304ECF381D913353CF135922E025BC','2e81889039c225bd4a0d5e2790ff5743','5ead5954c81d6782d10410b7d605fc78',NULL,NULL,1.79535867596099662788e+09,NULL,1.79535867596300840378e+09);
INSERT INTO "secret_version" VALUES(4,4,1,'previous','imported',X'012E81889039C225BD4A0D5E2790FF5743005077FB1C45BB4070D3F20A86FA3E203F12174A8660E79C449C7425B1D9985E733CDB248A677FF9381CAFC049F6D13A80D9FA6B7B2EEF4D2ECD6D84E0C6ECB228154C60DF9468D0D32413E1BD51E36C358188D95BAE63A442EB1CFC8966E3E9C14F9A43AE1295B95D00C586D080313B5FF39669892F53753A5F918D','2e81889039c225bd4a0d5e2790ff5743','66a656a943a4edf32893f713af77cb60',NULL,NULL,1.79535867616900205617e+09,NULL,1.79535867617101383211e+09);
INSERT INTO "secret_version" VALUES(5,5,1,'current','imported',X'012E81889039C225BD4A0D5E2790FF57430050D3B6C05EF6576FC88C1646422A9C55DD93B2E3B184F150A1E1913401E03CDA7722C1274C3422A8C5CDA6039D42D03974FEAE810A1283C47935EF37F9942666000C10CD657869398102375D0247AFBF3323C61D4B652C1FDE9DEA65021B7B1B137AB780E47281F2088D7AD4D516672AE2D76D6375C47C3DD169','2e81889039c225bd4a0d5e2790ff5743','dd5cfe10e84b1b7df9a21006cbb1487c',NULL,NULL,1.79535867716899657248e+09,NULL,1.79535867717100834847e+09);
INSERT INTO "secret_version" VALUES(6,2,2,'previous','generated',X'012E81889039C225BD4A0D5E2790FF5743005059AD65E8A7836276F7F9379C72D53CF5F9BBA0002B5E569C62ADFBC52045095E2F40410DA1143A61DA84B7C5A86913FC9BE8EE7E29C2289A36779679D328C05586C5E1EB23023010743141D00E4DEC293FD5F4FB3AF5A29AE85C88001183A8F5843B544D2B5A43842F1A5A3F282B12A830823E370C081D73A5B5F6867FAE6FFADB315966','2e81889039c225bd4a0d5e2790ff5743','87bb7fc92340e6477bcf636a34cb562d',NULL,'login',1.79535867758198976521e+09,1.79535867770598840708e+09,1.79535867780600786203e+09);
INSERT INTO "secret_version" VALUES(7,3,2,'current','generated',X'012E81889039C225BD4A0D5E2790FF574300508E55FEA7828EF4A367504246B0DC04237B8E54D719759D577F4A7B0810FF9D69F6465374815FCF27BC9340A8B04E43E936AA4367032D868AF9C98CF551DB3BF1C3C58FD153A6C9A88B3F1CC818D1843D632A4DC6F819D368EB51FA56A0D1B10FBB4218C3282F9B841EAE77DCF49AD4D23AC05F7D25E6A1665E39B5EFDC0AB0D2EF5A3763','2e81889039c225bd4a0d5e2790ff5743','add87ed237e2944b1c9a85fe08e74286',NULL,'login',1.79535867809600830071e+09,1.79535867816299653048e+09,1.79535867822201848035e+09);
INSERT INTO "secret_version" VALUES(8,2,3,'current','generated',X'012E81889039C225BD4A0D5E2790FF57430050B3452643BC1D0489CDCFEC9BDFE0EDF44CA113481153816810C3D9A9C81C4252F796B240BD123E784BDE51924283D9804F91475FDBA38860CA97BE4E80513049725FE5DC278D6165962982A99B15799840B81BAA67ED35CF8F67E1279BA36653D98634CCF319351133DDB6025E0D23F2C3760041D7E48A265C75B0F50AD573EED1FAF259','2e81889039c225bd4a0d5e2790ff5743','7c5b35eb1c044cacb0a043cd21d5cc4f',NULL,'login',1.79535867833801054951e+09,1.79535867837699651718e+09,1.79535867843400692937e+09);
INSERT INTO "secret_version" VALUES(9,4,2,'current','generated',X'012E81889039C225BD4A0D5E2790FF57430050ADCFA47238D088AF75486BD6406DE7D63CBE44AA71199863887C2EB7C1EAA724127F9D5A2F0A4FBD1188649827E477F1284E3A972ABC268A1C9A0310998121AED873B6BEF3DADA4E0477975E0671158119366D2B0C8F8E7F9CBF0AD82ADCEEA5F8D87CE25F36A9CA3F3704CEA2D87412A20A244747572028A9028600B1B0126179E5DFA7','2e81889039c225bd4a0d5e2790ff5743','e52a9c7452e086fb8ab065f68ae2118a',NULL,'login',1.79535867860898065567e+09,1.79535867867701506611e+09,1.79535867872799038882e+09);
INSERT INTO "secret_version" VALUES(10,5,2,'sent','generated',X'012E81889039C225BD4A0D5E2790FF574300509C5C9E718DA44B81519888BAF49A6D40F5EB75EF38220CA67CB5A85AA9344A68D67349FE5AE2814E30008A9ED050741F275D59B1A6F244840B36807BDBC616911EA6492A330E28C2CBCCA9E57DB210CD44F1C310BC606DF60A17C90ED7CF59153D05D32455C07B797E4886AB6555BC2644DB61F83ABC1A79A72BB582786418A8E5827097','2e81889039c225bd4a0d5e2790ff5743','035b1b2d3233c2dca9a872a4b912da54',NULL,NULL,1.79535867887198472025e+09,1.79535867894199037547e+09,NULL);
CREATE TABLE shared_lease (
	id INTEGER NOT NULL, 
	operation_id INTEGER NOT NULL, 
	account_id INTEGER NOT NULL, 
	CONSTRAINT pk_shared_lease PRIMARY KEY (id), 
	CONSTRAINT fk_shared_lease_account_id FOREIGN KEY(account_id) REFERENCES account (id), 
	CONSTRAINT fk_shared_lease_operation_id FOREIGN KEY(operation_id) REFERENCES operation (id), 
	CONSTRAINT uq_shared_lease_operation_id_account_id UNIQUE (operation_id, account_id)
);
CREATE TABLE template (
	id INTEGER NOT NULL, 
	name VARCHAR(128) NOT NULL, 
	version INTEGER NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, 
	executor VARCHAR(64) NOT NULL, 
	action VARCHAR(64) NOT NULL, 
	source VARCHAR(16) NOT NULL, 
	content TEXT NOT NULL, 
	author VARCHAR(255) NOT NULL, 
	approved_by VARCHAR(255), 
	retired BOOLEAN NOT NULL, 
	created DOUBLE NOT NULL, 
	CONSTRAINT pk_template PRIMARY KEY (id), 
	CONSTRAINT uq_template_name_sha256 UNIQUE (name, sha256), 
	CONSTRAINT uq_template_name_version UNIQUE (name, version)
);
INSERT INTO "template" VALUES(1,'fake-by-admin',1,'2a7d03f3d80d77cc3b443ba15661a214ec2cb9998a82dd4562268f42dc93fc9c','fake','change_secret','shipped','---
name: fake-by-admin
executor: fake
action: change_secret
version: 1
summary: An administrator of a fake target sets the password of another account.
platform: fake
login: other
proof: login
tags:
  USERNAME: username
  NEW_PASSWORD: secret
---
[status]
check-status
[change]
set [#NEW_PASSWORD#]
[persist]
save
','keyturn',NULL,0,1.79535867416700124742e+09);
INSERT INTO "template" VALUES(2,'fake-own-password',1,'0e2dcf2c66fb7b766fac1ba008f13f18380eeb30f8d8471002dd40bad50f1bf9','fake','change_secret','shipped','---
name: fake-own-password
executor: fake
action: change_secret
version: 1
summary: An account of a fake target changes its own password.
platform: fake
login: self
proof: login
tags:
  USERNAME: username
  NEW_PASSWORD: secret
---
[status]
check-status
[change]
set [#NEW_PASSWORD#]
[persist]
save
','keyturn',NULL,0,1.79535867419098019602e+09);
INSERT INTO "template" VALUES(3,'linux-by-root',1,'dca6fedb6a48b7406071d26d79e7f4814654f7b07c989aa7d73d288df3b4e527','ssh','change_secret','shipped','---
name: linux-by-root
executor: ssh
action: change_secret
summary: root sets the password by chpasswd, handed over on standard input.
platform: linux
login: root
proof: login
tags: {USERNAME: username, NEW_PASSWORD: secret}
version: 1
---
[status]
run id -u -- [#USERNAME#]
  refuse account_missing "no such user"
  capture identity (?m)^([0-9]+)$
run passwd -S -- [#USERNAME#]
  refuse account_missing "does not exist"
  refuse account_missing "Unknown user name"
  refuse permission_denied "Permission denied"
  refuse permission_denied "Only root can do that"
  capture status (?m)^\S+ (P|PS|L|LK|NP)\b
  map status P=usable PS=usable L=locked LK=locked NP=no_password

[change]
# chpasswd splits at the first colon: a password may hold one, a user name may not.
run chpasswd
  input [#USERNAME|field#]:[#NEW_PASSWORD#]
  refuse account_missing "User not known"
  refuse account_missing "does not exist"
  refuse refused_by_policy "BAD PASSWORD"
  refuse too_soon "Password has been already used"
  refuse permission_denied "Permission denied"
  refuse unknown "lock busy"
  refuse unknown "cannot lock"
  refuse refused_by_policy "Authentication token manipulation error"
','keyturn',NULL,0,1.79535867419600939746e+09);
INSERT INTO "template" VALUES(4,'linux-by-su',1,'1735ea525e162f39c26fc54a0ee435af50d90714f971a5a73da91b9ca610aff5','ssh','change_secret','shipped','---
name: linux-by-su
executor: ssh
action: change_secret
summary: An account without rights becomes root (or BECOME_USER) by su and sets the password by passwd.
platform: linux
login: other
proof: login
tags: {USERNAME: username, NEW_PASSWORD: secret, BECOME_USER: username, BECOME_PASSWORD: secret}
version: 1
---
[status]
# The user name is an argument of its own, so that no shell reads it a second time.
dialogue su - [#BECOME_USER#] -c ''id -u -- "$1" && passwd -S -- "$1"'' -- sh [#USERNAME#]
  answer "Password:" [#BECOME_PASSWORD#]
  refuse bad_login "Authentication failure"
  refuse permission_denied "su: Permission denied"
  refuse permission_denied "must be run from a terminal"
  refuse account_missing "does not exist"
  refuse account_missing "no such user"
  capture identity (?m)^([0-9]+)$
  capture status (?m)^\S+ (P|PS|L|LK|NP)\b
  map status P=usable PS=usable L=locked LK=locked NP=no_password

[change]
dialogue su - [#BECOME_USER#] -c ''LC_ALL=C passwd -- "$1"'' -- sh [#USERNAME#]
  answer "Password:" [#BECOME_PASSWORD#]
  refuse bad_login "Authentication failure"
  refuse permission_denied "su: Permission denied"
  refuse permission_denied "must be run from a terminal"
  refuse account_missing "does not exist"
  refuse account_missing "no such user"
  answer "New password:" [#NEW_PASSWORD#]
  answer "Retype new password:" [#NEW_PASSWORD#]
  again refused_by_policy "New password:"
  refuse too_soon "Password has been already used"
  refuse script_mismatch "passwords do not match"
  refuse unknown "lock busy"
  refuse permission_denied "You may not view or modify password information"
  refuse refused_by_policy "Authentication token manipulation error"
  expect "updated successfully"
  timeout 30
','keyturn',NULL,0,1.79535867419701528546e+09);
INSERT INTO "template" VALUES(5,'linux-by-sudoer',1,'9cd4a6cd2038352546ef1299a51d4380d4bf474375017934383e316d04ce9652','ssh','change_secret','shipped','---
name: linux-by-sudoer
executor: ssh
action: change_secret
summary: An administrator with sudo sets the password by chpasswd, handed over on standard input. Needs sudo for chpasswd and passwd -S, with password or without.
platform: linux
login: other
proof: login
tags: {USERNAME: username, NEW_PASSWORD: secret, AUTH_PASSWORD: secret}
version: 1
---
[status]
run id -u -- [#USERNAME#]
  refuse account_missing "no such user"
  capture identity (?m)^([0-9]+)$
# The password of sudo is tried here first, where a refusal costs one failed login and has no consequence.
run sudo -S -k -p ''sudo-password:'' passwd -S -- [#USERNAME#]
  maybe "sudo-password:" [#AUTH_PASSWORD#]
  refuse bad_login "Sorry, try again"
  refuse bad_login "incorrect password attempt"
  refuse permission_denied "not in the sudoers file"
  refuse permission_denied "is not allowed to"
  refuse permission_denied "may not run sudo"
  refuse permission_denied "must have a tty"
  refuse permission_denied "must be setuid root"
  refuse locked_out "account is locked"
  refuse account_missing "does not exist"
  refuse account_missing "Unknown user name"
  capture status (?m)^(?:sudo-password:)?\S+ (P|PS|L|LK|NP)\b
  map status P=usable PS=usable L=locked LK=locked NP=no_password

[change]
# sudo reads its own password first. Where it asks for none (NOPASSWD), the shell takes that line in its place, so that it
# never becomes a line of chpasswd''s.
run sh -c ''if sudo -n -k passwd -S -- "$1" >/dev/null 2>&1; then printf "sudo-password:" >&2; read -r _; sudo -n chpasswd; else sudo -S -k -p "sudo-password:" chpasswd; fi'' sh [#USERNAME#]
  answer "sudo-password:" [#AUTH_PASSWORD#]
  refuse bad_login "Sorry, try again"
  refuse bad_login "incorrect password attempt"
  refuse permission_denied "a password is required"
  refuse permission_denied "not in the sudoers file"
  refuse permission_denied "is not allowed to"
  refuse permission_denied "may not run sudo"
  refuse permission_denied "must have a tty"
  refuse permission_denied "must be setuid root"
  refuse locked_out "account is locked"
  input [#USERNAME|field#]:[#NEW_PASSWORD#]
  refuse account_missing "User not known"
  refuse account_missing "does not exist"
  refuse refused_by_policy "BAD PASSWORD"
  refuse too_soon "Password has been already used"
  refuse permission_denied "Permission denied"
  refuse unknown "lock busy"
  refuse unknown "cannot lock"
  refuse refused_by_policy "Authentication token manipulation error"
','keyturn',NULL,0,1.79535867419798088068e+09);
INSERT INTO "template" VALUES(6,'linux-lock-by-root',1,'526bcd1fd3341f3216027d22a40be6e92e7671ad8420a33d46c2de34466efa82','ssh','deactivate','shipped','---
name: linux-lock-by-root
executor: ssh
action: deactivate
summary: root closes the account for every way of logging in.
platform: linux
login: root
proof: login
tags: {USERNAME: username}
version: 1
---
[status]
run id -u -- [#USERNAME#]
  refuse account_missing "no such user"
  capture identity (?m)^([0-9]+)$
run passwd -S -- [#USERNAME#]
  refuse account_missing "does not exist"
  refuse account_missing "Unknown user name"
  refuse permission_denied "Permission denied"
  refuse permission_denied "Only root can do that"
  capture status (?m)^\S+ (P|PS|L|LK|NP)\b
  map status P=usable PS=usable L=locked LK=locked NP=no_password

[change]
# Locking the password alone (-L) leaves SSH keys working; an account that expired in 1970 (-e 1) opens to nothing.
run usermod -L -e 1 -- [#USERNAME#]
  refuse account_missing "does not exist"
  refuse permission_denied "Permission denied"
  refuse unknown "cannot lock"
','keyturn',NULL,0,1.79535867419798088068e+09);
INSERT INTO "template" VALUES(7,'linux-lock-by-sudoer',1,'a1935e093e63f2e40dcd928a37440decb00226df434951389252843a8131641f','ssh','deactivate','shipped','---
name: linux-lock-by-sudoer
executor: ssh
action: deactivate
summary: An administrator with sudo closes the account for every way of logging in. Needs sudo for usermod and passwd -S, with password.
platform: linux
login: other
proof: login
tags: {USERNAME: username, AUTH_PASSWORD: secret}
version: 1
---
[status]
run id -u -- [#USERNAME#]
  refuse account_missing "no such user"
  capture identity (?m)^([0-9]+)$
# The password of sudo is tried here first, where a refusal costs one failed login and has no consequence.
run sudo -S -k -p ''sudo-password:'' passwd -S -- [#USERNAME#]
  maybe "sudo-password:" [#AUTH_PASSWORD#]
  refuse bad_login "Sorry, try again"
  refuse bad_login "incorrect password attempt"
  refuse permission_denied "not in the sudoers file"
  refuse permission_denied "is not allowed to"
  refuse permission_denied "may not run sudo"
  refuse permission_denied "must have a tty"
  refuse permission_denied "must be setuid root"
  refuse locked_out "account is locked"
  refuse account_missing "does not exist"
  refuse account_missing "Unknown user name"
  capture status (?m)^(?:sudo-password:)?\S+ (P|PS|L|LK|NP)\b
  map status P=usable PS=usable L=locked LK=locked NP=no_password

[change]
# Locking the password alone (-L) leaves SSH keys working; an account that expired in 1970 (-e 1) opens to nothing.
run sudo -S -k -p ''sudo-password:'' usermod -L -e 1 -- [#USERNAME#]
  maybe "sudo-password:" [#AUTH_PASSWORD#]
  refuse bad_login "Sorry, try again"
  refuse bad_login "incorrect password attempt"
  refuse permission_denied "not in the sudoers file"
  refuse permission_denied "is not allowed to"
  refuse permission_denied "may not run sudo"
  refuse permission_denied "must have a tty"
  refuse permission_denied "must be setuid root"
  refuse locked_out "account is locked"
  refuse account_missing "does not exist"
  refuse permission_denied "Permission denied"
  refuse unknown "cannot lock"
','keyturn',NULL,0,1.79535867419898653033e+09);
INSERT INTO "template" VALUES(8,'linux-own-password',1,'890cb4716e43bd652370f30d6cdd920e1163850cda06224c8cf5e088e4a1393b','ssh','change_secret','shipped','---
name: linux-own-password
executor: ssh
action: change_secret
summary: The account changes its own password by passwd, also when the password has expired.
platform: linux
login: self
proof: login
tags: {CURRENT_PASSWORD: secret, NEW_PASSWORD: secret}
version: 1
---
[status]
run id -u
  fact status=expired "Password change required"
  capture identity (?m)^([0-9]+)$
run passwd -S
  fact status=unreadable "Permission denied"
  fact status=unreadable "Only root can do that"
  capture status (?m)^\S+ (P|PS|L|LK|NP)\b
  map status P=usable PS=usable L=locked LK=locked NP=no_password

[change]
# On an expired password sshd runs passwd by itself, whatever the command, and asks the same.
dialogue passwd
  maybe "Current password:" [#CURRENT_PASSWORD#]
  maybe "(current) UNIX password:" [#CURRENT_PASSWORD#]
  maybe "Enter new UNIX password:" [#NEW_PASSWORD#]
  maybe "Retype new UNIX password:" [#NEW_PASSWORD#]
  maybe "New password:" [#NEW_PASSWORD#]
  maybe "Retype new password:" [#NEW_PASSWORD#]
  # A password that the target''s rules refuse is asked for again, after words that differ from rule to rule.
  again refused_by_policy "New password:"
  again refused_by_policy "Enter new UNIX password:"
  refuse refused_by_policy "BAD PASSWORD"
  refuse refused_by_policy "You must choose a longer password"
  refuse refused_by_policy "Bad: new"
  refuse too_soon "You must wait longer to change your password"
  refuse too_soon "The password has not been changed"
  refuse too_soon "Password unchanged"
  refuse too_soon "Password has been already used"
  refuse too_soon "BAD PASSWORD: The password is the same as the old one"
  refuse script_mismatch "passwords do not match"
  refuse unknown "Authentication token lock busy"
  refuse permission_denied "You may not view or modify password information"
  refuse bad_login "Authentication token manipulation error"
  refuse bad_login "Authentication failure"
  expect "updated successfully"
  timeout 30
','keyturn',NULL,0,1.79535867423700690268e+09);
INSERT INTO "template" VALUES(9,'linux-status',1,'bdf496d8af3e91d52e2fc376f5e75bece899674ef4cd54ee50062bbf73d75be7','ssh','run_task','shipped','---
name: linux-status
executor: ssh
action: run_task
summary: root reads an account''s number and the state of its password; changes nothing.
platform: linux
login: root
proof: none
tags: {USERNAME: username}
version: 1
---
[status]
run id -u -- [#USERNAME#]
  refuse account_missing "no such user"
  capture identity (?m)^([0-9]+)$
run passwd -S -- [#USERNAME#]
  refuse account_missing "does not exist"
  refuse account_missing "Unknown user name"
  refuse permission_denied "Permission denied"
  refuse permission_denied "Only root can do that"
  capture status (?m)^\S+ (P|PS|L|LK|NP)\b
  map status P=usable PS=usable L=locked LK=locked NP=no_password
','keyturn',NULL,0,1.79535867423801279068e+09);
INSERT INTO "template" VALUES(10,'linux-unlock-by-root',1,'a502fefcef91ed09500768a7648f05d8b3f6e6c0905c1016a6054ec4b23ec777','ssh','activate','shipped','---
name: linux-unlock-by-root
executor: ssh
action: activate
summary: root opens the account again; an expiry date it had before locking is not restored.
platform: linux
login: root
proof: login
tags: {USERNAME: username}
version: 1
---
[status]
run id -u -- [#USERNAME#]
  refuse account_missing "no such user"
  capture identity (?m)^([0-9]+)$
run passwd -S -- [#USERNAME#]
  refuse account_missing "does not exist"
  refuse account_missing "Unknown user name"
  refuse permission_denied "Permission denied"
  refuse permission_denied "Only root can do that"
  capture status (?m)^\S+ (P|PS|L|LK|NP)\b
  map status P=usable PS=usable L=locked LK=locked NP=no_password

[change]
# The end of linux-lock: the old password is valid again and the account never expires.
run usermod -U -e '''' -- [#USERNAME#]
  refuse account_missing "does not exist"
  refuse permission_denied "Permission denied"
  refuse unknown "cannot lock"
  refuse account_disabled "passwordless account"
','keyturn',NULL,0,1.79535867423901844023e+09);
INSERT INTO "template" VALUES(11,'linux-unlock-by-sudoer',1,'90ea46f672cbdf56394da14b1862c21e4a4610c84320f4d24d8915f54866afc8','ssh','activate','shipped','---
name: linux-unlock-by-sudoer
executor: ssh
action: activate
summary: An administrator with sudo opens the account again; an expiry date it had before locking is not restored. Needs sudo for usermod and passwd -S, with password.
platform: linux
login: other
proof: login
tags: {USERNAME: username, AUTH_PASSWORD: secret}
version: 1
---
[status]
run id -u -- [#USERNAME#]
  refuse account_missing "no such user"
  capture identity (?m)^([0-9]+)$
# The password of sudo is tried here first, where a refusal costs one failed login and has no consequence.
run sudo -S -k -p ''sudo-password:'' passwd -S -- [#USERNAME#]
  maybe "sudo-password:" [#AUTH_PASSWORD#]
  refuse bad_login "Sorry, try again"
  refuse bad_login "incorrect password attempt"
  refuse permission_denied "not in the sudoers file"
  refuse permission_denied "is not allowed to"
  refuse permission_denied "may not run sudo"
  refuse permission_denied "must have a tty"
  refuse permission_denied "must be setuid root"
  refuse locked_out "account is locked"
  refuse account_missing "does not exist"
  refuse account_missing "Unknown user name"
  capture status (?m)^(?:sudo-password:)?\S+ (P|PS|L|LK|NP)\b
  map status P=usable PS=usable L=locked LK=locked NP=no_password

[change]
# The end of linux-lock: the old password is valid again and the account never expires.
run sudo -S -k -p ''sudo-password:'' usermod -U -e '''' -- [#USERNAME#]
  maybe "sudo-password:" [#AUTH_PASSWORD#]
  refuse bad_login "Sorry, try again"
  refuse bad_login "incorrect password attempt"
  refuse permission_denied "not in the sudoers file"
  refuse permission_denied "is not allowed to"
  refuse permission_denied "may not run sudo"
  refuse permission_denied "must have a tty"
  refuse permission_denied "must be setuid root"
  refuse locked_out "account is locked"
  refuse account_missing "does not exist"
  refuse permission_denied "Permission denied"
  refuse unknown "cannot lock"
  refuse account_disabled "passwordless account"
','keyturn',NULL,0,1.7953586742739810944e+09);
CREATE TABLE token (
	id INTEGER NOT NULL, 
	public_id VARCHAR(32) NOT NULL, 
	principal VARCHAR(255) NOT NULL, 
	role VARCHAR(32) NOT NULL, 
	hash BLOB NOT NULL, 
	revoked BOOLEAN NOT NULL, 
	created DOUBLE NOT NULL, 
	expires DOUBLE, 
	CONSTRAINT pk_token PRIMARY KEY (id), 
	CONSTRAINT uq_token_public_id UNIQUE (public_id)
);
INSERT INTO "token" VALUES(1,'112757def5a327c8','admin','admin',X'5CE7CC5423D618FA06A28CDC2926E7F17FE40EA407F3DA91771140E8D1F0873C',0,1.79535867503000211723e+09,NULL);
CREATE TABLE transition (
	id INTEGER NOT NULL, 
	operation_id INTEGER NOT NULL, 
	"before" VARCHAR(32), 
	"after" VARCHAR(32) NOT NULL, 
	"by" VARCHAR(255) NOT NULL, 
	reason VARCHAR(1000), 
	at DOUBLE NOT NULL, 
	CONSTRAINT pk_transition PRIMARY KEY (id), 
	CONSTRAINT fk_transition_operation_id FOREIGN KEY(operation_id) REFERENCES operation (id)
);
INSERT INTO "transition" VALUES(1,1,NULL,'scheduled','ann','manual',1.7953586773339927197e+09);
INSERT INTO "transition" VALUES(2,1,'scheduled','running','worker:worker-1',NULL,1.79535867748800516126e+09);
INSERT INTO "transition" VALUES(3,1,'running','succeeded','worker:worker-1',NULL,1.79535867789399766923e+09);
INSERT INTO "transition" VALUES(4,2,NULL,'scheduled','ann','manual',1.79535867794199585916e+09);
INSERT INTO "transition" VALUES(5,2,'scheduled','running','worker:worker-1',NULL,1.79535867804000377661e+09);
INSERT INTO "transition" VALUES(6,2,'running','succeeded','worker:worker-1',NULL,1.79535867823799109455e+09);
INSERT INTO "transition" VALUES(7,3,NULL,'scheduled','ann','manual',1.79535867825899267194e+09);
INSERT INTO "transition" VALUES(8,3,'scheduled','running','worker:worker-1',NULL,1.7953586782989845276e+09);
INSERT INTO "transition" VALUES(9,3,'running','succeeded','worker:worker-1',NULL,1.79535867846900963782e+09);
INSERT INTO "transition" VALUES(10,4,NULL,'scheduled','ann','manual',1.79535867852300262455e+09);
INSERT INTO "transition" VALUES(11,4,'scheduled','running','worker:worker-1',NULL,1.79535867856701755523e+09);
INSERT INTO "transition" VALUES(12,4,'running','succeeded','worker:worker-1',NULL,1.79535867874199151989e+09);
INSERT INTO "transition" VALUES(13,5,NULL,'scheduled','ann','manual',1.79535867879598426822e+09);
INSERT INTO "transition" VALUES(14,5,'scheduled','running','worker:worker-1',NULL,1.79535867881799197191e+09);
INSERT INTO "transition" VALUES(15,6,NULL,'scheduled','ann','manual',1.79535867899501776698e+09);
INSERT INTO "transition" VALUES(16,7,NULL,'scheduled','ann','manual',1.79535867912501096721e+09);
CREATE TABLE zone (
	id INTEGER NOT NULL, 
	name VARCHAR(64) NOT NULL, 
	public_key BLOB NOT NULL, 
	created DOUBLE NOT NULL, 
	CONSTRAINT pk_zone PRIMARY KEY (id), 
	CONSTRAINT uq_zone_name UNIQUE (name)
);
INSERT INTO "zone" VALUES(1,'default',X'080EFBE3ECED41A59D56D1BF25053CE03808FFB0B4D3A45BCD7B81763DEC825D',1.79535867401001167299e+09);
CREATE INDEX ix_audit_entry_unsealed ON audit_entry (id) WHERE sequence IS NULL;
CREATE INDEX ix_outbox_due ON outbox (delivered, due);
CREATE INDEX ix_credential_parent ON credential (parent_id);
CREATE UNIQUE INDEX uq_credential_identifier ON credential (identifier) WHERE identifier IS NOT NULL;
CREATE INDEX ix_operation_credential ON operation (credential_id, id);
CREATE INDEX ix_operation_due ON operation (due) WHERE state IN ('scheduled', 'running', 'in_doubt');
CREATE UNIQUE INDEX uq_operation_live ON operation (account_id) WHERE state IN ('running', 'in_doubt');
CREATE UNIQUE INDEX uq_operation_scheduled ON operation (credential_id, action) WHERE state = 'scheduled' AND attempts = 0;
CREATE UNIQUE INDEX uq_secret_version_current ON secret_version (credential_id) WHERE status = 'current';
CREATE UNIQUE INDEX uq_secret_version_pending ON secret_version (credential_id) WHERE status IN ('candidate', 'sent');
CREATE UNIQUE INDEX uq_request_idempotency ON request (requester, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX ix_shared_lease_account ON shared_lease (account_id);
CREATE INDEX ix_transition_operation ON transition (operation_id);
COMMIT;
