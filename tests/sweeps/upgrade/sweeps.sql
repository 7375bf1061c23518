BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('v3.2.0.a');
CREATE TABLE studies (
	study_id INTEGER NOT NULL, 
	study_name VARCHAR(512) NOT NULL, 
	PRIMARY KEY (study_id)
);
INSERT INTO "studies" VALUES(1,'small-patterns');
CREATE TABLE study_directions (
	study_direction_id INTEGER NOT NULL, 
	direction VARCHAR(8) NOT NULL, 
	study_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	PRIMARY KEY (study_direction_id), 
	UNIQUE (study_id, objective), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_directions" VALUES(1,'MAXIMIZE',1,0);
CREATE TABLE study_system_attributes (
	study_system_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_system_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_system_attributes" VALUES(1,1,'study:metric_names','["val_accuracy"]');
INSERT INTO "study_system_attributes" VALUES(2,1,'dashboard:note_ver','1');
INSERT INTO "study_system_attributes" VALUES(3,1,'dashboard:note_str:0','"# small\n\n- **Pictures**: patterns, 16 x 16 pixels, 10 classes, `sha256:92982b718fbcf8bc`\n- **Value**: val_accuracy on held-out training pictures after the last epoch (maximize)\n- **Pruned** also counts trials that diverged; their attribute `outcome` tells them apart\n\nThe spec; what it does not name is at its default:\n\n```yaml\nname: small\nbudget:\n  trials: 8\ntraining:\n  epochs: 3\n  batch_size: 50\n  learning_rate: 0.05\n  flip: false\ndata:\n  name: patterns\n  size: 16\n  train_limit: 300\n  validation_limit: 200\nsearch:\n  layer.growth:\n    choice: [5, 7]\n  layer.fade:\n    float: [0.25, 4.0]\n    when:\n      layer.growth: 7\n  layer.edge:\n    float: [0.0, 1.0]\n  layer.init_scale:\n    float: [0.25, 4.0]\n    log: true\ntry_first: [{name: plain 3x3, set: {layer.dilation: 1, layer.growth: 3}}, {name: linear 5x5, set: {layer.growth: 5}}]\nsampler:\n  startup_trials: 2\npruner:\n  reduction_factor: 2\n```"');
INSERT INTO "study_system_attributes" VALUES(4,1,'dashboard:1:note_ver','1');
INSERT INTO "study_system_attributes" VALUES(5,1,'dashboard:1:note_str:0','"**plain 3x3** (tried first, never pruned), by worker-0.\n\n- **Effective kernel**: 3x3, from 3x3 weights\n- **Receptive field** after the last convolution or pooling: 10 pixels\n- **Parameters**: 17,650\n\n```yaml\nlayer:\n  kernel_size: 3\n  dilation: 1\n  growth: 3\n  fade: 1.0\n  edge: 0.5\n  corner: 0.25\n  init_scale: 1.0\n  stride: 1\nmodel:\n  name: tutorial\ntraining:\n  epochs: 3\n  batch_size: 50\n  learning_rate: 0.05\n  momentum: 0.9\n  nesterov: true\n  weight_decay: 0.0005\n  warmup: 0.25\n  label_smoothing: 0.0\n  micro_batches: 1\n  crop: 0\n  flip: false\n  channels_last: true\n  precision: float32\ndata:\n  name: patterns\n  size: 16\n  validation: 0.1\n  split_seed: 0\n  train_limit: 300\n  validation_limit: 200\nseed: 0\n```"');
INSERT INTO "study_system_attributes" VALUES(6,1,'dashboard:2:note_ver','1');
INSERT INTO "study_system_attributes" VALUES(7,1,'dashboard:2:note_str:0','"**linear 5x5** (tried first, never pruned), by worker-0.\n\n- **Effective kernel**: 5x5, from 3x3 weights\n- **Receptive field** after the last convolution or pooling: 12 pixels\n- **Parameters**: 17,650\n\n```yaml\nlayer:\n  kernel_size: 3\n  dilation: 2\n  growth: 5\n  fade: 1.0\n  edge: 0.5\n  corner: 0.25\n  init_scale: 1.0\n  stride: 1\nmodel:\n  name: tutorial\ntraining:\n  epochs: 3\n  batch_size: 50\n  learning_rate: 0.05\n  momentum: 0.9\n  nesterov: true\n  weight_decay: 0.0005\n  warmup: 0.25\n  label_smoothing: 0.0\n  micro_batches: 1\n  crop: 0\n  flip: false\n  channels_last: true\n  precision: float32\ndata:\n  name: patterns\n  size: 16\n  validation: 0.1\n  split_seed: 0\n  train_limit: 300\n  validation_limit: 200\nseed: 0\n```"');
INSERT INTO "study_system_attributes" VALUES(8,1,'dashboard:3:note_ver','1');
INSERT INTO "study_system_attributes" VALUES(9,1,'dashboard:3:note_str:0','"Sampled, by worker-0.\n\n- **Effective kernel**: 7x7, from 3x3 weights\n- **Receptive field** after the last convolution or pooling: 14 pixels\n- **Parameters**: 17,650\n\n```yaml\nlayer:\n  kernel_size: 3\n  dilation: 2\n  growth: 7\n  fade: 2.9422115468910395\n  edge: 0.14541760809788684\n  corner: 0.25\n  init_scale: 0.32970675167217217\n  stride: 1\nmodel:\n  name: tutorial\ntraining:\n  epochs: 3\n  batch_size: 50\n  learning_rate: 0.05\n  momentum: 0.9\n  nesterov: true\n  weight_decay: 0.0005\n  warmup: 0.25\n  label_smoothing: 0.0\n  micro_batches: 1\n  crop: 0\n  flip: false\n  channels_last: true\n  precision: float32\ndata:\n  name: patterns\n  size: 16\n  validation: 0.1\n  split_seed: 0\n  train_limit: 300\n  validation_limit: 200\nseed: 0\n```"');
INSERT INTO "study_system_attributes" VALUES(10,1,'dashboard:4:note_ver','1');
INSERT INTO "study_system_attributes" VALUES(11,1,'dashboard:4:note_str:0','"Sampled, by worker-0.\n\n- **Effective kernel**: 7x7, from 3x3 weights\n- **Receptive field** after the last convolution or pooling: 14 pixels\n- **Parameters**: 17,650\n\n```yaml\nlayer:\n  kernel_size: 3\n  dilation: 2\n  growth: 7\n  fade: 2.7393412315750076\n  edge: 0.8904425196119973\n  corner: 0.25\n  init_scale: 0.2699736993696436\n  stride: 1\nmodel:\n  name: tutorial\ntraining:\n  epochs: 3\n  batch_size: 50\n  learning_rate: 0.05\n  momentum: 0.9\n  nesterov: true\n  weight_decay: 0.0005\n  warmup: 0.25\n  label_smoothing: 0.0\n  micro_batches: 1\n  crop: 0\n  flip: false\n  channels_last: true\n  precision: float32\ndata:\n  name: patterns\n  size: 16\n  validation: 0.1\n  split_seed: 0\n  train_limit: 300\n  validation_limit: 200\nseed: 0\n```"');
INSERT INTO "study_system_attributes" VALUES(12,1,'dashboard:5:note_ver','1');
INSERT INTO "study_system_attributes" VALUES(13,1,'dashboard:5:note_str:0','"Sampled, by worker-0.\n\n- **Effective kernel**: 7x7, from 3x3 weights\n- **Receptive field** after the last convolution or pooling: 14 pixels\n- **Parameters**: 17,650\n\n```yaml\nlayer:\n  kernel_size: 3\n  dilation: 2\n  growth: 7\n  fade: 2.7393412315750076\n  edge: 0.8904425196119973\n  corner: 0.25\n  init_scale: 0.2699736993696436\n  stride: 1\nmodel:\n  name: tutorial\ntraining:\n  epochs: 3\n  batch_size: 50\n  learning_rate: 0.05\n  momentum: 0.9\n  nesterov: true\n  weight_decay: 0.0005\n  warmup: 0.25\n  label_smoothing: 0.0\n  micro_batches: 1\n  crop: 0\n  flip: false\n  channels_last: true\n  precision: float32\ndata:\n  name: patterns\n  size: 16\n  validation: 0.1\n  split_seed: 0\n  train_limit: 300\n  validation_limit: 200\nseed: 0\n```"');
INSERT INTO "study_system_attributes" VALUES(14,1,'dashboard:6:note_ver','1');
INSERT INTO "study_system_attributes" VALUES(15,1,'dashboard:6:note_str:0','"Sampled, by worker-0.\n\n- **Effective kernel**: 7x7, from 3x3 weights\n- **Receptive field** after the last convolution or pooling: 14 pixels\n- **Parameters**: 17,650\n\n```yaml\nlayer:\n  kernel_size: 3\n  dilation: 2\n  growth: 7\n  fade: 0.3256787485848056\n  edge: 0.05363266776112785\n  corner: 0.25\n  init_scale: 1.5476872541534648\n  stride: 1\nmodel:\n  name: tutorial\ntraining:\n  epochs: 3\n  batch_size: 50\n  learning_rate: 0.05\n  momentum: 0.9\n  nesterov: true\n  weight_decay: 0.0005\n  warmup: 0.25\n  label_smoothing: 0.0\n  micro_batches: 1\n  crop: 0\n  flip: false\n  channels_last: true\n  precision: float32\ndata:\n  name: patterns\n  size: 16\n  validation: 0.1\n  split_seed: 0\n  train_limit: 300\n  validation_limit: 200\nseed: 0\n```"');
INSERT INTO "study_system_attributes" VALUES(16,1,'dashboard:7:note_ver','1');
INSERT INTO "study_system_attributes" VALUES(17,1,'dashboard:7:note_str:0','"Sampled, by worker-0.\n\n- **Effective kernel**: 7x7, from 3x3 weights\n- **Receptive field** after the last convolution or pooling: 14 pixels\n- **Parameters**: 17,650\n\n```yaml\nlayer:\n  kernel_size: 3\n  dilation: 2\n  growth: 7\n  fade: 3.8938864784279597\n  edge: 0.015117768882546123\n  corner: 0.25\n  init_scale: 0.4164068135892906\n  stride: 1\nmodel:\n  name: tutorial\ntraining:\n  epochs: 3\n  batch_size: 50\n  learning_rate: 0.05\n  momentum: 0.9\n  nesterov: true\n  weight_decay: 0.0005\n  warmup: 0.25\n  label_smoothing: 0.0\n  micro_batches: 1\n  crop: 0\n  flip: false\n  channels_last: true\n  precision: float32\ndata:\n  name: patterns\n  size: 16\n  validation: 0.1\n  split_seed: 0\n  train_limit: 300\n  validation_limit: 200\nseed: 0\n```"');
INSERT INTO "study_system_attributes" VALUES(18,1,'dashboard:8:note_ver','1');
INSERT INTO "study_system_attributes" VALUES(19,1,'dashboard:8:note_str:0','"Sampled, by worker-0.\n\n- **Effective kernel**: 7x7, from 3x3 weights\n- **Receptive field** after the last convolution or pooling: 14 pixels\n- **Parameters**: 17,650\n\n```yaml\nlayer:\n  kernel_size: 3\n  dilation: 2\n  growth: 7\n  fade: 0.3244079228470542\n  edge: 0.8594839132511827\n  corner: 0.25\n  init_scale: 3.7085098768808864\n  stride: 1\nmodel:\n  name: tutorial\ntraining:\n  epochs: 3\n  batch_size: 50\n  learning_rate: 0.05\n  momentum: 0.9\n  nesterov: true\n  weight_decay: 0.0005\n  warmup: 0.25\n  label_smoothing: 0.0\n  micro_batches: 1\n  crop: 0\n  flip: false\n  channels_last: true\n  precision: float32\ndata:\n  name: patterns\n  size: 16\n  validation: 0.1\n  split_seed: 0\n  train_limit: 300\n  validation_limit: 200\nseed: 0\n```"');
INSERT INTO "study_system_attributes" VALUES(20,1,'dashboard:9:note_ver','1');
INSERT INTO "study_system_attributes" VALUES(21,1,'dashboard:9:note_str:0','"Sampled, by worker-0.\n\n- **Effective kernel**: 5x5, from 3x3 weights\n- **Receptive field** after the last convolution or pooling: 12 pixels\n- **Parameters**: 17,650\n\n```yaml\nlayer:\n  kernel_size: 3\n  dilation: 2\n  growth: 5\n  fade: 1.0\n  edge: 0.32087602892786526\n  corner: 0.25\n  init_scale: 0.32936144825309566\n  stride: 1\nmodel:\n  name: tutorial\ntraining:\n  epochs: 3\n  batch_size: 50\n  learning_rate: 0.05\n  momentum: 0.9\n  nesterov: true\n  weight_decay: 0.0005\n  warmup: 0.25\n  label_smoothing: 0.0\n  micro_batches: 1\n  crop: 0\n  flip: false\n  channels_last: true\n  precision: float32\ndata:\n  name: patterns\n  size: 16\n  validation: 0.1\n  split_seed: 0\n  train_limit: 300\n  validation_limit: 200\nseed: 0\n```"');
CREATE TABLE study_user_attributes (
	study_user_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_user_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_user_attributes" VALUES(1,1,'spec','{"name": "small", "description": "", "fallback": null, "metric": "val_accuracy", "budget": {"trials": 8, "minutes": null, "retries": 2}, "layer": {"kernel_size": 3, "dilation": 2, "growth": null, "fade": 1.0, "edge": 0.5, "corner": 0.25, "init_scale": 1.0, "stride": 1}, "model": {"name": "tutorial"}, "training": {"epochs": 3, "batch_size": 50, "learning_rate": 0.05, "momentum": 0.9, "nesterov": true, "weight_decay": 0.0005, "warmup": 0.25, "label_smoothing": 0.0, "micro_batches": 1, "crop": 0, "flip": false, "channels_last": true, "precision": "auto"}, "data": {"name": "patterns", "size": 16, "validation": 0.1, "split_seed": 0, "train_limit": 300, "validation_limit": 200}, "seed": 0, "search": {"layer.growth": {"float": null, "int": null, "choice": [5, 7], "log": false, "step": null, "when": {}}, "layer.fade": {"float": [0.25, 4.0], "int": null, "choice": null, "log": false, "step": null, "when": {"layer.growth": 7}}, "layer.edge": {"float": [0.0, 1.0], "int": null, "choice": null, "log": false, "step": null, "when": {}}, "layer.init_scale": {"float": [0.25, 4.0], "int": null, "choice": null, "log": true, "step": null, "when": {}}}, "try_first": [{"name": "plain 3x3", "set": {"layer.dilation": 1, "layer.growth": 3}}, {"name": "linear 5x5", "set": {"layer.growth": 5}}], "sampler": {"name": "tpe", "startup_trials": 2}, "pruner": {"name": "asha", "min_epochs": 1, "reduction_factor": 2, "startup_trials": 4}}');
INSERT INTO "study_user_attributes" VALUES(2,1,'sweep_id','"3fcecb9be054"');
INSERT INTO "study_user_attributes" VALUES(3,1,'data_fingerprint','"sha256:92982b718fbcf8bc"');
INSERT INTO "study_user_attributes" VALUES(4,1,'data_size','16');
INSERT INTO "study_user_attributes" VALUES(5,1,'train_pictures','300');
INSERT INTO "study_user_attributes" VALUES(6,1,'validation_pictures','200');
INSERT INTO "study_user_attributes" VALUES(7,1,'classes','10');
INSERT INTO "study_user_attributes" VALUES(8,1,'metric','"val_accuracy"');
INSERT INTO "study_user_attributes" VALUES(9,1,'target_trials','8');
INSERT INTO "study_user_attributes" VALUES(10,1,'ready','true');
INSERT INTO "study_user_attributes" VALUES(11,1,'retries','2');
CREATE TABLE sweeps_artifacts (
	artifact_id VARCHAR(64) NOT NULL, 
	part INTEGER NOT NULL, 
	content BLOB NOT NULL, 
	PRIMARY KEY (artifact_id, part)
);
INSERT INTO "sweeps_artifacts" VALUES('ebf14384-ee4a-4c7c-ade0-55d91565af63',0,X'54726163656261636B20286D6F737420726563656E742063616C6C206C617374293A0A202046696C6520222F686F6D652F736F6D656F6E652F696E746572706F64696C2F7377656570732F747269616C2E7079222C206C696E652036342C20696E2072756E5F747269616C0A202020206F7574636F6D652C20726561736F6E2C2076616C7565203D206F626A656374697665286465736B2C20747269616C290A20202020202020202020202020202020202020202020202020202020205E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E0A202046696C6520222F686F6D652F736F6D656F6E652F696E746572706F64696C2F7377656570732F6F626A6563746976652E7079222C206C696E652036382C20696E205F5F63616C6C5F5F0A2020202072657475726E2073656C662E5F747261696E286465736B2C20747269616C2C20636F6E6669672C2073656C662E5F636865636B706F696E74732E6F6628747269616C2E6E756D6265722C20747269616C7329290A20202020202020202020205E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E0A202046696C6520222F686F6D652F736F6D656F6E652F696E746572706F64696C2F7377656570732F6F626A6563746976652E7079222C206C696E65203130372C20696E205F747261696E0A20202020726573756C7473203D20747261696E280A20202020202020202020202020205E5E5E5E5E5E0A202046696C6520222F686F6D652F736F6D656F6E652F776F726B2F73697465637573746F6D697A652E7079222C206C696E652031312C20696E2062726F6B656E0A2020202072616973652056616C75654572726F7228226E6F206C75636B20776974682074686973206F6E6522290A56616C75654572726F723A206E6F206C75636B20776974682074686973206F6E650A');
CREATE TABLE sweeps_claims (
	claim_id INTEGER NOT NULL, 
	study_id INTEGER NOT NULL, 
	worker_id VARCHAR(32) NOT NULL, 
	trial_id INTEGER, 
	PRIMARY KEY (claim_id), 
	UNIQUE (trial_id)
);
INSERT INTO "sweeps_claims" VALUES(1,1,'77bf983e24f94f28ab0fd2795e3ca55a',1);
INSERT INTO "sweeps_claims" VALUES(2,1,'77bf983e24f94f28ab0fd2795e3ca55a',2);
INSERT INTO "sweeps_claims" VALUES(3,1,'77bf983e24f94f28ab0fd2795e3ca55a',3);
INSERT INTO "sweeps_claims" VALUES(4,1,'6559399234ce42969ccaaf2e94ed27a4',5);
INSERT INTO "sweeps_claims" VALUES(5,1,'6559399234ce42969ccaaf2e94ed27a4',6);
INSERT INTO "sweeps_claims" VALUES(6,1,'6559399234ce42969ccaaf2e94ed27a4',7);
INSERT INTO "sweeps_claims" VALUES(7,1,'6559399234ce42969ccaaf2e94ed27a4',8);
INSERT INTO "sweeps_claims" VALUES(8,1,'6559399234ce42969ccaaf2e94ed27a4',9);
CREATE TABLE sweeps_epochs (
	trial_id INTEGER NOT NULL, 
	epoch INTEGER NOT NULL, 
	train_loss FLOAT, 
	val_loss FLOAT, 
	val_accuracy FLOAT, 
	learning_rate FLOAT NOT NULL, 
	seconds FLOAT NOT NULL, 
	images_per_second FLOAT NOT NULL, 
	PRIMARY KEY (trial_id, epoch)
);
INSERT INTO "sweeps_epochs" VALUES(1,1,2.31131408691406248223e+00,2.30605209350585926841e+00,0.085,4.92735483414695613069e-02,4.47400874300001305527e+00,7.05452335589639432109e+01);
INSERT INTO "sweeps_epochs" VALUES(1,2,2.27299565633138023201e+00,2.31833480834960958816e+00,0.11,2.19866950472849542741e-02,1.02071775599984,3.34814299194228794922e+02);
INSERT INTO "sweeps_epochs" VALUES(1,3,2.1965401458740232421e+00,2.31686706542968767763e+00,0.115,2.0e-07,1.02587152900014189071e+00,3.81735844450332308499e+02);
INSERT INTO "sweeps_epochs" VALUES(2,1,2.33329696655273455263e+00,2.33914016723632833816e+00,0.115,4.92735483414695613069e-02,3.27813316799984022509e+00,1.03212805242832303062e+02);
INSERT INTO "sweeps_epochs" VALUES(2,2,2.26883265177408866009e+00,2.30532699584960942829e+00,0.105,2.19866950472849542741e-02,1.82105541800001446972e+00,1.83336922214708494035e+02);
INSERT INTO "sweeps_epochs" VALUES(2,3,2.16792160034179692829e+00,2.29990341186523439276e+00,0.11,2.0e-07,1.52138430700006210827e+00,2.48075546095412619246e+02);
INSERT INTO "sweeps_epochs" VALUES(4,1,2.30899284362792966973e+00,2.31157852172851541183e+00,0.125,4.92735483414695613069e-02,4.83558220100007929431e+00,6.56010585103385892571e+01);
INSERT INTO "sweeps_epochs" VALUES(5,1,2.30899284362792966973e+00,2.31157852172851541183e+00,0.125,4.92735483414695613069e-02,4.83558220100007929431e+00,6.56010585103385892571e+01);
INSERT INTO "sweeps_epochs" VALUES(5,2,2.30676541646321631162e+00,2.31783920288085942829e+00,0.065,2.19866950472849542741e-02,2.57834899899989977711e+00,1.37469280100840734353e+02);
INSERT INTO "sweeps_epochs" VALUES(6,1,2.3598357137044270182e+00,2.34149459838867191052e+00,0.115,4.92735483414695613069e-02,2.93302232900009585137e+00,1.07790159145506791559e+02);
INSERT INTO "sweeps_epochs" VALUES(7,1,2.31081120808919271425e+00,2.30445129394531234012e+00,0.085,4.92735483414695613069e-02,7.99015444000133356894e-01,4.36739395504804292632e+02);
INSERT INTO "sweeps_epochs" VALUES(8,1,2.81201596577962220635e+00,2.30355514526367199934e+00,0.125,4.92735483414695613069e-02,1.06184294500008036266e+00,3.03311061535705732698e+02);
INSERT INTO "sweeps_epochs" VALUES(8,2,2.30113545735677105241e+00,2.3059375,0.07,2.19866950472849542741e-02,9.10374606999994284706e-01,4.61956548561124463953e+02);
INSERT INTO "sweeps_epochs" VALUES(9,1,2.30692629496256529364e+00,2.30365676879882830263e+00,0.13,4.92735483414695613069e-02,6.17265984999903594143e-01,5.73901766657945927368e+02);
INSERT INTO "sweeps_epochs" VALUES(9,2,2.2882407633463541785e+00,2.3103857421875,0.095,2.19866950472849542741e-02,4.53075506999994104262e-01,8.50815575077570201718e+02);
CREATE TABLE sweeps_leases (
	name VARCHAR(255) NOT NULL, 
	host VARCHAR(255) NOT NULL, 
	pid INTEGER NOT NULL, 
	birth VARCHAR(32) NOT NULL, 
	taken FLOAT NOT NULL, 
	PRIMARY KEY (name)
);
CREATE TABLE sweeps_schema (
	version INTEGER NOT NULL, 
	PRIMARY KEY (version)
);
INSERT INTO "sweeps_schema" VALUES(2);
CREATE TABLE sweeps_workers (
	worker_id VARCHAR(32) NOT NULL, 
	study_id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	name VARCHAR(64) NOT NULL, 
	host VARCHAR(255) NOT NULL, 
	pid INTEGER NOT NULL, 
	birth VARCHAR(32) NOT NULL, 
	device VARCHAR(64) NOT NULL, 
	started FLOAT NOT NULL, 
	last_seen FLOAT NOT NULL, 
	ended FLOAT, 
	trial_number INTEGER, 
	epoch INTEGER, 
	epochs INTEGER, 
	value FLOAT, 
	PRIMARY KEY (worker_id)
);
INSERT INTO "sweeps_workers" VALUES('77bf983e24f94f28ab0fd2795e3ca55a',1,0,'worker-0','machine',1000,'100/4026531836-00000000','cpu',1.79565103566786885263e+09,1.79565106300262379646e+09,1.79565106300262379646e+09,NULL,NULL,NULL,NULL);
INSERT INTO "sweeps_workers" VALUES('6559399234ce42969ccaaf2e94ed27a4',1,1,'worker-0','machine',1001,'100/4026531836-00000000','cpu',1.79565107968681359285e+09,1.79565109372169446951e+09,1.79565109372169446951e+09,NULL,NULL,NULL,NULL);
CREATE TABLE trial_heartbeats (
	trial_heartbeat_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	heartbeat DATETIME NOT NULL, 
	PRIMARY KEY (trial_heartbeat_id), 
	UNIQUE (trial_id), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_intermediate_values (
	trial_intermediate_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	step INTEGER NOT NULL, 
	intermediate_value FLOAT, 
	intermediate_value_type VARCHAR(7) NOT NULL, 
	PRIMARY KEY (trial_intermediate_value_id), 
	UNIQUE (trial_id, step), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_intermediate_values" VALUES(1,1,1,0.085,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(2,1,2,0.11,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(3,1,3,0.115,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(4,2,1,0.115,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(5,2,2,0.105,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(6,2,3,0.11,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(7,4,1,0.125,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(8,5,1,0.125,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(9,5,2,0.065,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(10,6,1,0.115,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(11,7,1,0.085,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(12,8,1,0.125,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(13,8,2,0.07,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(14,9,1,0.13,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(15,9,2,0.095,'FINITE');
CREATE TABLE trial_params (
	param_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	param_name VARCHAR(512), 
	param_value FLOAT, 
	distribution_json TEXT, 
	PRIMARY KEY (param_id), 
	UNIQUE (trial_id, param_name), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_params" VALUES(1,2,'layer.growth',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [5, 7]}}');
INSERT INTO "trial_params" VALUES(2,2,'layer.edge',0.5,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(3,2,'layer.init_scale',1.0,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.25, "high": 4.0, "log": true}}');
INSERT INTO "trial_params" VALUES(4,3,'layer.growth',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [5, 7]}}');
INSERT INTO "trial_params" VALUES(5,3,'layer.edge',1.45417608097886841278e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(6,3,'layer.init_scale',3.29706751672172171385e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.25, "high": 4.0, "log": true}}');
INSERT INTO "trial_params" VALUES(7,3,'layer.fade',2.94221154689103947532e+00,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.25, "high": 4.0, "log": false}}');
INSERT INTO "trial_params" VALUES(8,4,'layer.growth',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [5, 7]}}');
INSERT INTO "trial_params" VALUES(9,4,'layer.edge',8.90442519611997274076e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(10,4,'layer.init_scale',2.69973699369643604928e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.25, "high": 4.0, "log": true}}');
INSERT INTO "trial_params" VALUES(11,4,'layer.fade',2.73934123157500764023e+00,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.25, "high": 4.0, "log": false}}');
INSERT INTO "trial_params" VALUES(12,5,'layer.growth',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [5, 7]}}');
INSERT INTO "trial_params" VALUES(13,5,'layer.edge',8.90442519611997274076e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(14,5,'layer.init_scale',2.69973699369643604928e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.25, "high": 4.0, "log": true}}');
INSERT INTO "trial_params" VALUES(15,5,'layer.fade',2.73934123157500764023e+00,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.25, "high": 4.0, "log": false}}');
INSERT INTO "trial_params" VALUES(16,6,'layer.growth',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [5, 7]}}');
INSERT INTO "trial_params" VALUES(17,6,'layer.edge',5.363266776112785017e-02,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(18,6,'layer.init_scale',1.54768725415346475315e+00,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.25, "high": 4.0, "log": true}}');
INSERT INTO "trial_params" VALUES(19,6,'layer.fade',3.25678748584805610732e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.25, "high": 4.0, "log": false}}');
INSERT INTO "trial_params" VALUES(20,7,'layer.growth',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [5, 7]}}');
INSERT INTO "trial_params" VALUES(21,7,'layer.edge',1.51177688825461231658e-02,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(22,7,'layer.init_scale',4.16406813589290603072e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.25, "high": 4.0, "log": true}}');
INSERT INTO "trial_params" VALUES(23,7,'layer.fade',3.89388647842795965203e+00,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.25, "high": 4.0, "log": false}}');
INSERT INTO "trial_params" VALUES(24,8,'layer.growth',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [5, 7]}}');
INSERT INTO "trial_params" VALUES(25,8,'layer.edge',8.59483913251182674031e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(26,8,'layer.init_scale',3.70850987688088640226e+00,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.25, "high": 4.0, "log": true}}');
INSERT INTO "trial_params" VALUES(27,8,'layer.fade',3.24407922847054219772e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.25, "high": 4.0, "log": false}}');
INSERT INTO "trial_params" VALUES(28,9,'layer.growth',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [5, 7]}}');
INSERT INTO "trial_params" VALUES(29,9,'layer.edge',3.20876028927865264428e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(30,9,'layer.init_scale',3.29361448253095656646e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.25, "high": 4.0, "log": true}}');
CREATE TABLE trial_system_attributes (
	trial_system_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_system_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_system_attributes" VALUES(1,1,'fixed_params','{}');
INSERT INTO "trial_system_attributes" VALUES(2,2,'fixed_params','{"layer.growth": 5, "layer.edge": 0.5, "layer.init_scale": 1.0}');
INSERT INTO "trial_system_attributes" VALUES(3,1,'completed_rung_0','0.085');
INSERT INTO "trial_system_attributes" VALUES(4,1,'completed_rung_1','0.11');
INSERT INTO "trial_system_attributes" VALUES(5,2,'completed_rung_0','0.115');
INSERT INTO "trial_system_attributes" VALUES(6,2,'completed_rung_1','0.105');
INSERT INTO "trial_system_attributes" VALUES(7,3,'tpe:relative_params:0','"{\"layer.edge\": 0.14541760809788684, \"layer.growth\": 7, \"layer.init_scale\": 0.32970675167217217}"');
INSERT INTO "trial_system_attributes" VALUES(8,3,'artifacts:ebf14384-ee4a-4c7c-ade0-55d91565af63','"{\"artifact_id\": \"ebf14384-ee4a-4c7c-ade0-55d91565af63\", \"filename\": \"traceback.txt\", \"mimetype\": \"text/plain\", \"encoding\": null}"');
INSERT INTO "trial_system_attributes" VALUES(9,4,'tpe:relative_params:0','"{\"layer.edge\": 0.8904425196119973, \"layer.growth\": 7, \"layer.init_scale\": 0.2699736993696436}"');
INSERT INTO "trial_system_attributes" VALUES(10,4,'completed_rung_0','0.125');
INSERT INTO "trial_system_attributes" VALUES(11,5,'fixed_params','{"layer.growth": 7, "layer.edge": 0.8904425196119973, "layer.init_scale": 0.2699736993696436, "layer.fade": 2.7393412315750076}');
INSERT INTO "trial_system_attributes" VALUES(12,5,'completed_rung_0','0.125');
INSERT INTO "trial_system_attributes" VALUES(13,5,'completed_rung_1','0.065');
INSERT INTO "trial_system_attributes" VALUES(14,6,'tpe:relative_params:0','"{\"layer.edge\": 0.05363266776112785, \"layer.growth\": 7, \"layer.init_scale\": 1.5476872541534648, \"layer.fade\": 0.3256787485848056}"');
INSERT INTO "trial_system_attributes" VALUES(15,6,'completed_rung_0','0.115');
INSERT INTO "trial_system_attributes" VALUES(16,7,'tpe:relative_params:0','"{\"layer.edge\": 0.015117768882546123, \"layer.growth\": 7, \"layer.init_scale\": 0.4164068135892906, \"layer.fade\": 3.8938864784279597}"');
INSERT INTO "trial_system_attributes" VALUES(17,7,'completed_rung_0','0.085');
INSERT INTO "trial_system_attributes" VALUES(18,8,'tpe:relative_params:0','"{\"layer.edge\": 0.8594839132511827, \"layer.growth\": 7, \"layer.init_scale\": 3.7085098768808864, \"layer.fade\": 0.3244079228470542}"');
INSERT INTO "trial_system_attributes" VALUES(19,8,'completed_rung_0','0.125');
INSERT INTO "trial_system_attributes" VALUES(20,8,'completed_rung_1','0.07');
INSERT INTO "trial_system_attributes" VALUES(21,9,'tpe:relative_params:0','"{\"layer.edge\": 0.32087602892786526, \"layer.growth\": 5, \"layer.init_scale\": 0.32936144825309566, \"layer.fade\": 1.9422444608076412}"');
INSERT INTO "trial_system_attributes" VALUES(22,9,'completed_rung_0','0.13');
INSERT INTO "trial_system_attributes" VALUES(23,9,'completed_rung_1','0.095');
CREATE TABLE trial_user_attributes (
	trial_user_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_user_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_user_attributes" VALUES(1,1,'configuration','"plain 3x3"');
INSERT INTO "trial_user_attributes" VALUES(2,1,'overrides','{"layer.dilation": 1, "layer.growth": 3, "layer.edge": 0.5, "layer.init_scale": 1.0}');
INSERT INTO "trial_user_attributes" VALUES(3,2,'configuration','"linear 5x5"');
INSERT INTO "trial_user_attributes" VALUES(4,2,'overrides','{}');
INSERT INTO "trial_user_attributes" VALUES(5,1,'worker','"worker-0"');
INSERT INTO "trial_user_attributes" VALUES(6,1,'kernel_size','"3x3"');
INSERT INTO "trial_user_attributes" VALUES(7,1,'receptive_field','10');
INSERT INTO "trial_user_attributes" VALUES(8,1,'parameters','17650');
INSERT INTO "trial_user_attributes" VALUES(9,1,'config','{"layer": {"kernel_size": 3, "dilation": 1, "growth": 3, "fade": 1.0, "edge": 0.5, "corner": 0.25, "init_scale": 1.0, "stride": 1}, "model": {"name": "tutorial"}, "training": {"epochs": 3, "batch_size": 50, "learning_rate": 0.05, "momentum": 0.9, "nesterov": true, "weight_decay": 0.0005, "warmup": 0.25, "label_smoothing": 0.0, "micro_batches": 1, "crop": 0, "flip": false, "channels_last": true, "precision": "float32"}, "data": {"name": "patterns", "size": 16, "validation": 0.1, "split_seed": 0, "train_limit": 300, "validation_limit": 200}, "seed": 0}');
INSERT INTO "trial_user_attributes" VALUES(10,1,'environment','{"device": "cpu", "device_name": "AMD EPYC", "threads": 2, "python": "3.11.7", "libraries": {"torch": "2.15.0", "torchvision": "0.29.2", "optuna": "5.0.0", "numpy": "2.4.6"}, "commit": "c5af67137210"}');
INSERT INTO "trial_user_attributes" VALUES(11,1,'images_per_second','335');
INSERT INTO "trial_user_attributes" VALUES(12,1,'outcome','"completed"');
INSERT INTO "trial_user_attributes" VALUES(13,1,'ended_by','"77bf983e24f94f28ab0fd2795e3ca55a"');
INSERT INTO "trial_user_attributes" VALUES(14,2,'worker','"worker-0"');
INSERT INTO "trial_user_attributes" VALUES(15,2,'kernel_size','"5x5"');
INSERT INTO "trial_user_attributes" VALUES(16,2,'receptive_field','12');
INSERT INTO "trial_user_attributes" VALUES(17,2,'parameters','17650');
INSERT INTO "trial_user_attributes" VALUES(18,2,'config','{"layer": {"kernel_size": 3, "dilation": 2, "growth": 5, "fade": 1.0, "edge": 0.5, "corner": 0.25, "init_scale": 1.0, "stride": 1}, "model": {"name": "tutorial"}, "training": {"epochs": 3, "batch_size": 50, "learning_rate": 0.05, "momentum": 0.9, "nesterov": true, "weight_decay": 0.0005, "warmup": 0.25, "label_smoothing": 0.0, "micro_batches": 1, "crop": 0, "flip": false, "channels_last": true, "precision": "float32"}, "data": {"name": "patterns", "size": 16, "validation": 0.1, "split_seed": 0, "train_limit": 300, "validation_limit": 200}, "seed": 0}');
INSERT INTO "trial_user_attributes" VALUES(19,2,'environment','{"device": "cpu", "device_name": "AMD EPYC", "threads": 2, "python": "3.11.7", "libraries": {"torch": "2.15.0", "torchvision": "0.29.2", "optuna": "5.0.0", "numpy": "2.4.6"}, "commit": "c5af67137210"}');
INSERT INTO "trial_user_attributes" VALUES(20,2,'images_per_second','183');
INSERT INTO "trial_user_attributes" VALUES(21,2,'outcome','"completed"');
INSERT INTO "trial_user_attributes" VALUES(22,2,'ended_by','"77bf983e24f94f28ab0fd2795e3ca55a"');
INSERT INTO "trial_user_attributes" VALUES(23,3,'worker','"worker-0"');
INSERT INTO "trial_user_attributes" VALUES(24,3,'kernel_size','"7x7"');
INSERT INTO "trial_user_attributes" VALUES(25,3,'receptive_field','14');
INSERT INTO "trial_user_attributes" VALUES(26,3,'parameters','17650');
INSERT INTO "trial_user_attributes" VALUES(27,3,'config','{"layer": {"kernel_size": 3, "dilation": 2, "growth": 7, "fade": 2.9422115468910395, "edge": 0.14541760809788684, "corner": 0.25, "init_scale": 0.32970675167217217, "stride": 1}, "model": {"name": "tutorial"}, "training": {"epochs": 3, "batch_size": 50, "learning_rate": 0.05, "momentum": 0.9, "nesterov": true, "weight_decay": 0.0005, "warmup": 0.25, "label_smoothing": 0.0, "micro_batches": 1, "crop": 0, "flip": false, "channels_last": true, "precision": "float32"}, "data": {"name": "patterns", "size": 16, "validation": 0.1, "split_seed": 0, "train_limit": 300, "validation_limit": 200}, "seed": 0}');
INSERT INTO "trial_user_attributes" VALUES(28,3,'environment','{"device": "cpu", "device_name": "AMD EPYC", "threads": 2, "python": "3.11.7", "libraries": {"torch": "2.15.0", "torchvision": "0.29.2", "optuna": "5.0.0", "numpy": "2.4.6"}, "commit": "c5af67137210"}');
INSERT INTO "trial_user_attributes" VALUES(29,3,'outcome','"failed"');
INSERT INTO "trial_user_attributes" VALUES(30,3,'reason','"ValueError: no luck with this one"');
INSERT INTO "trial_user_attributes" VALUES(31,3,'ended_by','"77bf983e24f94f28ab0fd2795e3ca55a"');
INSERT INTO "trial_user_attributes" VALUES(32,4,'worker','"worker-0"');
INSERT INTO "trial_user_attributes" VALUES(33,4,'kernel_size','"7x7"');
INSERT INTO "trial_user_attributes" VALUES(34,4,'receptive_field','14');
INSERT INTO "trial_user_attributes" VALUES(35,4,'parameters','17650');
INSERT INTO "trial_user_attributes" VALUES(36,4,'config','{"layer": {"kernel_size": 3, "dilation": 2, "growth": 7, "fade": 2.7393412315750076, "edge": 0.8904425196119973, "corner": 0.25, "init_scale": 0.2699736993696436, "stride": 1}, "model": {"name": "tutorial"}, "training": {"epochs": 3, "batch_size": 50, "learning_rate": 0.05, "momentum": 0.9, "nesterov": true, "weight_decay": 0.0005, "warmup": 0.25, "label_smoothing": 0.0, "micro_batches": 1, "crop": 0, "flip": false, "channels_last": true, "precision": "float32"}, "data": {"name": "patterns", "size": 16, "validation": 0.1, "split_seed": 0, "train_limit": 300, "validation_limit": 200}, "seed": 0}');
INSERT INTO "trial_user_attributes" VALUES(37,4,'environment','{"device": "cpu", "device_name": "AMD EPYC", "threads": 2, "python": "3.11.7", "libraries": {"torch": "2.15.0", "torchvision": "0.29.2", "optuna": "5.0.0", "numpy": "2.4.6"}, "commit": "c5af67137210"}');
INSERT INTO "trial_user_attributes" VALUES(38,4,'images_per_second','66');
INSERT INTO "trial_user_attributes" VALUES(39,4,'outcome','"interrupted"');
INSERT INTO "trial_user_attributes" VALUES(40,4,'reason','"the sweep was stopped"');
INSERT INTO "trial_user_attributes" VALUES(41,4,'ended_by','"77bf983e24f94f28ab0fd2795e3ca55a"');
INSERT INTO "trial_user_attributes" VALUES(42,5,'retry_of','3');
INSERT INTO "trial_user_attributes" VALUES(43,5,'losses','0');
INSERT INTO "trial_user_attributes" VALUES(44,5,'worker','"worker-0"');
INSERT INTO "trial_user_attributes" VALUES(45,5,'kernel_size','"7x7"');
INSERT INTO "trial_user_attributes" VALUES(46,5,'receptive_field','14');
INSERT INTO "trial_user_attributes" VALUES(47,5,'parameters','17650');
INSERT INTO "trial_user_attributes" VALUES(48,5,'config','{"layer": {"kernel_size": 3, "dilation": 2, "growth": 7, "fade": 2.7393412315750076, "edge": 0.8904425196119973, "corner": 0.25, "init_scale": 0.2699736993696436, "stride": 1}, "model": {"name": "tutorial"}, "training": {"epochs": 3, "batch_size": 50, "learning_rate": 0.05, "momentum": 0.9, "nesterov": true, "weight_decay": 0.0005, "warmup": 0.25, "label_smoothing": 0.0, "micro_batches": 1, "crop": 0, "flip": false, "channels_last": true, "precision": "float32"}, "data": {"name": "patterns", "size": 16, "validation": 0.1, "split_seed": 0, "train_limit": 300, "validation_limit": 200}, "seed": 0}');
INSERT INTO "trial_user_attributes" VALUES(49,5,'environment','{"device": "cpu", "device_name": "AMD EPYC", "threads": 2, "python": "3.11.7", "libraries": {"torch": "2.15.0", "torchvision": "0.29.2", "optuna": "5.0.0", "numpy": "2.4.6"}, "commit": "c5af67137210"}');
INSERT INTO "trial_user_attributes" VALUES(50,5,'images_per_second','137');
INSERT INTO "trial_user_attributes" VALUES(51,5,'outcome','"pruned"');
INSERT INTO "trial_user_attributes" VALUES(52,5,'ended_by','"6559399234ce42969ccaaf2e94ed27a4"');
INSERT INTO "trial_user_attributes" VALUES(53,6,'worker','"worker-0"');
INSERT INTO "trial_user_attributes" VALUES(54,6,'kernel_size','"7x7"');
INSERT INTO "trial_user_attributes" VALUES(55,6,'receptive_field','14');
INSERT INTO "trial_user_attributes" VALUES(56,6,'parameters','17650');
INSERT INTO "trial_user_attributes" VALUES(57,6,'config','{"layer": {"kernel_size": 3, "dilation": 2, "growth": 7, "fade": 0.3256787485848056, "edge": 0.05363266776112785, "corner": 0.25, "init_scale": 1.5476872541534648, "stride": 1}, "model": {"name": "tutorial"}, "training": {"epochs": 3, "batch_size": 50, "learning_rate": 0.05, "momentum": 0.9, "nesterov": true, "weight_decay": 0.0005, "warmup": 0.25, "label_smoothing": 0.0, "micro_batches": 1, "crop": 0, "flip": false, "channels_last": true, "precision": "float32"}, "data": {"name": "patterns", "size": 16, "validation": 0.1, "split_seed": 0, "train_limit": 300, "validation_limit": 200}, "seed": 0}');
INSERT INTO "trial_user_attributes" VALUES(58,6,'environment','{"device": "cpu", "device_name": "AMD EPYC", "threads": 2, "python": "3.11.7", "libraries": {"torch": "2.15.0", "torchvision": "0.29.2", "optuna": "5.0.0", "numpy": "2.4.6"}, "commit": "c5af67137210"}');
INSERT INTO "trial_user_attributes" VALUES(59,6,'images_per_second','108');
INSERT INTO "trial_user_attributes" VALUES(60,6,'outcome','"pruned"');
INSERT INTO "trial_user_attributes" VALUES(61,6,'ended_by','"6559399234ce42969ccaaf2e94ed27a4"');
INSERT INTO "trial_user_attributes" VALUES(62,7,'worker','"worker-0"');
INSERT INTO "trial_user_attributes" VALUES(63,7,'kernel_size','"7x7"');
INSERT INTO "trial_user_attributes" VALUES(64,7,'receptive_field','14');
INSERT INTO "trial_user_attributes" VALUES(65,7,'parameters','17650');
INSERT INTO "trial_user_attributes" VALUES(66,7,'config','{"layer": {"kernel_size": 3, "dilation": 2, "growth": 7, "fade": 3.8938864784279597, "edge": 0.015117768882546123, "corner": 0.25, "init_scale": 0.4164068135892906, "stride": 1}, "model": {"name": "tutorial"}, "training": {"epochs": 3, "batch_size": 50, "learning_rate": 0.05, "momentum": 0.9, "nesterov": true, "weight_decay": 0.0005, "warmup": 0.25, "label_smoothing": 0.0, "micro_batches": 1, "crop": 0, "flip": false, "channels_last": true, "precision": "float32"}, "data": {"name": "patterns", "size": 16, "validation": 0.1, "split_seed": 0, "train_limit": 300, "validation_limit": 200}, "seed": 0}');
INSERT INTO "trial_user_attributes" VALUES(67,7,'environment','{"device": "cpu", "device_name": "AMD EPYC", "threads": 2, "python": "3.11.7", "libraries": {"torch": "2.15.0", "torchvision": "0.29.2", "optuna": "5.0.0", "numpy": "2.4.6"}, "commit": "c5af67137210"}');
INSERT INTO "trial_user_attributes" VALUES(68,7,'images_per_second','437');
INSERT INTO "trial_user_attributes" VALUES(69,7,'outcome','"pruned"');
INSERT INTO "trial_user_attributes" VALUES(70,7,'ended_by','"6559399234ce42969ccaaf2e94ed27a4"');
INSERT INTO "trial_user_attributes" VALUES(71,8,'worker','"worker-0"');
INSERT INTO "trial_user_attributes" VALUES(72,8,'kernel_size','"7x7"');
INSERT INTO "trial_user_attributes" VALUES(73,8,'receptive_field','14');
INSERT INTO "trial_user_attributes" VALUES(74,8,'parameters','17650');
INSERT INTO "trial_user_attributes" VALUES(75,8,'config','{"layer": {"kernel_size": 3, "dilation": 2, "growth": 7, "fade": 0.3244079228470542, "edge": 0.8594839132511827, "corner": 0.25, "init_scale": 3.7085098768808864, "stride": 1}, "model": {"name": "tutorial"}, "training": {"epochs": 3, "batch_size": 50, "learning_rate": 0.05, "momentum": 0.9, "nesterov": true, "weight_decay": 0.0005, "warmup": 0.25, "label_smoothing": 0.0, "micro_batches": 1, "crop": 0, "flip": false, "channels_last": true, "precision": "float32"}, "data": {"name": "patterns", "size": 16, "validation": 0.1, "split_seed": 0, "train_limit": 300, "validation_limit": 200}, "seed": 0}');
INSERT INTO "trial_user_attributes" VALUES(76,8,'environment','{"device": "cpu", "device_name": "AMD EPYC", "threads": 2, "python": "3.11.7", "libraries": {"torch": "2.15.0", "torchvision": "0.29.2", "optuna": "5.0.0", "numpy": "2.4.6"}, "commit": "c5af67137210"}');
INSERT INTO "trial_user_attributes" VALUES(77,8,'images_per_second','462');
INSERT INTO "trial_user_attributes" VALUES(78,8,'outcome','"pruned"');
INSERT INTO "trial_user_attributes" VALUES(79,8,'ended_by','"6559399234ce42969ccaaf2e94ed27a4"');
INSERT INTO "trial_user_attributes" VALUES(80,9,'worker','"worker-0"');
INSERT INTO "trial_user_attributes" VALUES(81,9,'kernel_size','"5x5"');
INSERT INTO "trial_user_attributes" VALUES(82,9,'receptive_field','12');
INSERT INTO "trial_user_attributes" VALUES(83,9,'parameters','17650');
INSERT INTO "trial_user_attributes" VALUES(84,9,'config','{"layer": {"kernel_size": 3, "dilation": 2, "growth": 5, "fade": 1.0, "edge": 0.32087602892786526, "corner": 0.25, "init_scale": 0.32936144825309566, "stride": 1}, "model": {"name": "tutorial"}, "training": {"epochs": 3, "batch_size": 50, "learning_rate": 0.05, "momentum": 0.9, "nesterov": true, "weight_decay": 0.0005, "warmup": 0.25, "label_smoothing": 0.0, "micro_batches": 1, "crop": 0, "flip": false, "channels_last": true, "precision": "float32"}, "data": {"name": "patterns", "size": 16, "validation": 0.1, "split_seed": 0, "train_limit": 300, "validation_limit": 200}, "seed": 0}');
INSERT INTO "trial_user_attributes" VALUES(85,9,'environment','{"device": "cpu", "device_name": "AMD EPYC", "threads": 2, "python": "3.11.7", "libraries": {"torch": "2.15.0", "torchvision": "0.29.2", "optuna": "5.0.0", "numpy": "2.4.6"}, "commit": "c5af67137210"}');
INSERT INTO "trial_user_attributes" VALUES(86,9,'images_per_second','851');
INSERT INTO "trial_user_attributes" VALUES(87,9,'outcome','"pruned"');
INSERT INTO "trial_user_attributes" VALUES(88,9,'ended_by','"6559399234ce42969ccaaf2e94ed27a4"');
CREATE TABLE trial_values (
	trial_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	value FLOAT, 
	value_type VARCHAR(7) NOT NULL, 
	PRIMARY KEY (trial_value_id), 
	UNIQUE (trial_id, objective), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_values" VALUES(1,1,0,0.115,'FINITE');
INSERT INTO "trial_values" VALUES(2,2,0,0.11,'FINITE');
INSERT INTO "trial_values" VALUES(3,5,0,0.065,'FINITE');
INSERT INTO "trial_values" VALUES(4,6,0,0.115,'FINITE');
INSERT INTO "trial_values" VALUES(5,7,0,0.085,'FINITE');
INSERT INTO "trial_values" VALUES(6,8,0,0.07,'FINITE');
INSERT INTO "trial_values" VALUES(7,9,0,0.095,'FINITE');
CREATE TABLE trials (
	trial_id INTEGER NOT NULL, 
	number INTEGER, 
	study_id INTEGER, 
	state VARCHAR(8) NOT NULL, 
	datetime_start DATETIME, 
	datetime_complete DATETIME, 
	PRIMARY KEY (trial_id), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "trials" VALUES(1,0,1,'COMPLETE','2026-11-25 23:57:15.761035','2026-11-25 23:57:27.613684');
INSERT INTO "trials" VALUES(2,1,1,'COMPLETE','2026-11-25 23:57:27.663258','2026-11-25 23:57:34.554688');
INSERT INTO "trials" VALUES(3,2,1,'FAIL','2026-11-25 23:57:34.621465','2026-11-25 23:57:34.814062');
INSERT INTO "trials" VALUES(4,3,1,'FAIL','2026-11-25 23:57:34.839964','2026-11-25 23:57:42.964330');
INSERT INTO "trials" VALUES(5,4,1,'PRUNED','2026-11-25 23:57:59.708731','2026-11-25 23:58:06.182731');
INSERT INTO "trials" VALUES(6,5,1,'PRUNED','2026-11-25 23:58:06.219454','2026-11-25 23:58:09.310231');
INSERT INTO "trials" VALUES(7,6,1,'PRUNED','2026-11-25 23:58:09.324401','2026-11-25 23:58:10.267739');
INSERT INTO "trials" VALUES(8,7,1,'PRUNED','2026-11-25 23:58:10.296217','2026-11-25 23:58:12.462832');
INSERT INTO "trials" VALUES(9,8,1,'PRUNED','2026-11-25 23:58:12.488329','2026-11-25 23:58:13.695608');
CREATE TABLE version_info (
	version_info_id INTEGER NOT NULL, 
	schema_version INTEGER, 
	library_version VARCHAR(256), 
	PRIMARY KEY (version_info_id), 
	CHECK (version_info_id=1)
);
INSERT INTO "version_info" VALUES(1,12,'5.0.0');
CREATE UNIQUE INDEX ix_studies_study_name ON studies (study_name);
CREATE INDEX ix_trials_study_id ON trials (study_id);
CREATE INDEX sweeps_workers_study ON sweeps_workers (study_id);
CREATE INDEX sweeps_claims_study ON sweeps_claims (study_id);
COMMIT;
